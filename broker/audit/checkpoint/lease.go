package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/schakel/schakel/broker/journal"
)

// lease is the right to sign, as this process knows it.
type lease struct {
	cfg Config

	mu    sync.Mutex
	fence uint64
	until time.Time
}

func newLease(cfg Config) *lease { return &lease{cfg: cfg} }

// take takes the lease, and marks the folder with its number: whoever had it before signs nothing more in it.
func (l *lease) take(ctx context.Context) error {
	fence, until, err := l.cfg.Lease(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.cfg.Dir, 0o755); err != nil {
		return err
	}
	mark, err := readFence(l.cfg.Dir)
	if err != nil {
		return err
	}
	if mark > fence {
		return fmt.Errorf("take up log: the folder was led under number %d, and the lease has %d: the store was put back; see `schakel audit verify`", mark, fence)
	}
	l.fence, l.until = fence, until
	return replaceFile(filepath.Join(l.cfg.Dir, fenceFile), strconv.AppendUint(nil, fence, 10))
}

func readFence(dir string) (uint64, error) {
	data, err := os.ReadFile(filepath.Join(dir, fenceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}

// renew keeps the lease. An error means that it is lost, or may be soon.
func (l *lease) renew(ctx context.Context) error {
	fence, until, err := l.cfg.Lease(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, journal.ErrLeased):
		return err
	case err != nil && l.cfg.Now().Before(l.until):
		return nil // the store is away; what is held still holds
	case err != nil:
		return fmt.Errorf("renew lease: %w", err)
	case fence != l.fence:
		return fmt.Errorf("renew lease: it was another's meanwhile: %w", journal.ErrLeased)
	}
	l.until = until
	return nil
}

// admit tells whether this process may sign now.
func (l *lease) admit() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	mark, err := readFence(l.cfg.Dir)
	switch {
	case err != nil:
		return err
	case mark != l.fence:
		return fmt.Errorf("another checkpointer leads, under number %d", mark)
	case !l.cfg.Now().Before(l.until):
		return errors.New("the lease ran out")
	}
	return nil
}
