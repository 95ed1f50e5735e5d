package redisstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker/journal"
)

// Check implements journal.Store: it reads back the settings on which durability rests, and the run id, which changes
// when a server restarts or another takes over. From the first Check on, another run id is an error until Reverify.
func (s *Store) Check(ctx context.Context) error { return s.check(ctx, false) }

// Reverify is Check, and takes the server that is there now for the one to expect. Call it after a restart or failover
// only once the heads of all streams have been compared with the last ones known: a replica that took over may lack
// entries that were acknowledged.
func (s *Store) Reverify(ctx context.Context) error { return s.check(ctx, true) }

func (s *Store) check(ctx context.Context, adopt bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	connects := s.connects.Load()
	runID, faults, err := s.facts(ctx)
	if err != nil {
		return fmt.Errorf("check redis: %w", err)
	}
	known := s.runID.Load()
	if len(faults) == 0 && known != nil && *known != runID && !adopt {
		faults = []string{fmt.Sprintf("run id was %s and is %s: the server restarted or another took over; verify the log and start again", *known, runID)}
	}
	if len(faults) > 0 {
		s.verified.Store(0)
		return fmt.Errorf("check redis: %s: %w", strings.Join(faults, "; "), journal.ErrUnsafe)
	}
	if adopt {
		s.runID.Store(&runID)
	} else if !s.runID.CompareAndSwap(known, &runID) {
		return s.check(ctx, false) // another Check was first, maybe of another server
	}
	s.verified.Store(connects)
	return nil
}

// guard checks again if a connection was made since the last time. A restart breaks every connection, so whatever
// answers between two guards is the server that was checked.
func (s *Store) guard(ctx context.Context) error {
	for s.connects.Load() != s.verified.Load() {
		if err := s.Check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// facts reads the settings from the master, and says which are wrong.
func (s *Store) facts(ctx context.Context) (runID string, faults []string, err error) {
	if c, ok := s.rdb.(*redis.ClusterClient); ok {
		c.ReloadState(ctx)
	}
	node, err := s.master(ctx)
	if err != nil {
		return "", nil, err
	}
	settings := []struct{ name, must string }{
		{"appendonly", "yes"},
		{"appendfsync", "always"},
		{"no-appendfsync-on-rewrite", "no"},
		{"maxmemory-policy", "noeviction"},
	}
	if s.cfg.WaitReplicas > 0 {
		settings = append(settings, struct{ name, must string }{"min-replicas-to-write", "1 or more"})
	}
	var server, replication *redis.StringCmd
	got := make([]*redis.MapStringStringCmd, len(settings))
	_, err = node.Pipelined(ctx, func(p redis.Pipeliner) error {
		server, replication = p.Info(ctx, "server"), p.Info(ctx, "replication")
		for i, setting := range settings { // one by one: servers before 7.0 take one name
			got[i] = p.ConfigGet(ctx, setting.name)
		}
		return nil
	})
	if refused := redis.Error(nil); errors.As(err, &refused) && !redis.HasErrorPrefix(err, "LOADING") {
		return "", []string{"its settings can't be read (" + err.Error() + "), and must be readable: allow this user the commands INFO and CONFIG GET, or use a Redis that does"}, nil
	}
	if err != nil {
		return "", nil, err
	}
	for i, setting := range settings {
		value, known := got[i].Val()[setting.name]
		right := value == setting.must
		if setting.name == "min-replicas-to-write" {
			n, err := strconv.Atoi(value)
			right = err == nil && n >= 1
		}
		if !known {
			value = "unknown"
		}
		if !right {
			faults = append(faults, fmt.Sprintf("%s is %s and must be %s", setting.name, value, setting.must))
		}
	}
	if role := infoLine(replication.Val(), "role"); role != "master" {
		faults = append(faults, "role is "+role+" and must be master")
	}
	if runID = infoLine(server.Val(), "run_id"); runID == "" {
		faults = append(faults, "run_id is absent from INFO and must be there")
	}
	return runID, faults, nil
}

// infoLine finds a value in the answer to INFO.
func infoLine(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), name+":"); ok {
			return value
		}
	}
	return ""
}
