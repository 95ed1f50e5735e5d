package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Store is where the wrapped keys are (journal.Store).
type Store interface {
	DeleteKeys(ctx context.Context, ids []string) error
	journal.Inventory
}

// Ring is what erasure needs of the key ring (keys.Ring).
type Ring interface {
	Generations() []string
	Superseded() []string
	Supersede(generation string) (string, error)
	Rewrap(wrapped []byte) ([]byte, error)
	Destroy(generation string) error
}

// Plan is what is to be erased. It stands in the register before anything is done, so that a process that died can be followed
// by another that goes on.
type Plan struct {
	Keys        []string // to be deleted; those that are gone already are no error
	Generations []string // every generation that wrapped one of them
}

// EraseConfig says where.
type EraseConfig struct {
	Store Store
	Ring  Ring
	// Settle is how long a key that another process wrapped just now may be on its way into the store; 0 where there is none.
	Settle time.Duration
	// Record makes it known that all of the plan is erased: the last thing that is done, and not before all else is.
	Record func(context.Context) error
	// At is told of each step before the next; an error ends it there. May be nil.
	At func(Step) error
}

// Step is one of the steps of an erasure, each of which is durable.
type Step string

// Closed list of Step, in order.
const (
	StepSuperseded Step = "superseded" // no new key is wrapped under the generations
	StepDeleted    Step = "deleted"    // a run of keys is out of the store
	StepSettled    Step = "settled"    // what others wrapped before is in it
	StepRewrapped  Step = "rewrapped"  // a run of survivors has another wrapping
	StepDestroyed  Step = "destroyed"  // a generation is out of the ring
)

// Done tells what an erasure did. One that went on from another tells what was left to do.
type Done struct {
	Deleted   int // keys asked for, of this run
	Survivors int // keys that got another wrapping
	Lost      int // keys that nothing unwraps, since a backup older than an erasure was put back: they are deleted
}

// atOnce is how many keys go in one step.
const atOnce = 1000

// Erase does what a plan says. Whatever it does not finish, it does when it is called again with the same plan: nothing is done
// twice, and until it returns without an error nothing may be called erased.
func Erase(ctx context.Context, c EraseConfig, p Plan) (Done, error) {
	var done Done
	err := c.erase(ctx, p, &done)
	if err != nil {
		err = fmt.Errorf("erase: %w", err)
	}
	return done, err
}

func (c EraseConfig) erase(ctx context.Context, p Plan, done *Done) error {
	if err := c.supersede(p.Generations); err != nil {
		return err
	}
	for run := range slices.Chunk(p.Keys, atOnce) {
		if err := c.Store.DeleteKeys(ctx, run); err != nil {
			return err
		}
		done.Deleted += len(run)
		if err := c.at(StepDeleted); err != nil {
			return err
		}
	}
	select {
	case <-time.After(c.Settle):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.at(StepSettled); err != nil {
		return err
	}
	// Until a whole look at the store finds nothing under them.
	for again := true; again; {
		n, err := c.rewrap(ctx, p.Generations, done)
		if err != nil {
			return err
		}
		again = n > 0
	}
	for _, g := range p.Generations {
		if !slices.Contains(c.Ring.Generations(), g) {
			continue
		}
		if err := c.Ring.Destroy(g); err != nil {
			return err
		}
		if err := c.at(StepDestroyed); err != nil {
			return err
		}
	}
	return c.Record(ctx)
}

// supersede makes sure that no generation of the plan gets new keys.
func (c EraseConfig) supersede(generations []string) error {
	for _, g := range generations {
		if !slices.Contains(c.Ring.Generations(), g) || slices.Contains(c.Ring.Superseded(), g) {
			continue
		}
		if _, err := c.Ring.Supersede(g); err != nil {
			return err
		}
		if err := c.at(StepSuperseded); err != nil {
			return err
		}
	}
	return nil
}

// rewrap gives the keys under these generations another wrapping, and tells how many there were.
func (c EraseConfig) rewrap(ctx context.Context, generations []string, done *Done) (n int, err error) {
	err = scan(ctx, c.Store, func(page []journal.WrappedKey) error {
		var swaps []journal.KeySwap
		var lost []string
		for _, k := range page {
			generation, err := keys.WrappedBy(k.Wrapped)
			if err != nil {
				return fmt.Errorf("a key of the store: %w", err)
			}
			if !slices.Contains(generations, generation) {
				continue
			}
			fresh, err := c.Ring.Rewrap(k.Wrapped)
			if errors.Is(err, keys.ErrDestroyed) {
				lost = append(lost, k.ID)
				continue
			}
			if again, e := keys.WrappedBy(fresh); err == nil && (e != nil || again == generation) {
				err = fmt.Errorf("generation %s is in use still", generation)
			}
			if err != nil {
				return err
			}
			swaps = append(swaps, journal.KeySwap{ID: k.ID, Old: k.Wrapped, New: fresh})
		}
		if len(swaps)+len(lost) == 0 {
			return nil
		}
		if err := errors.Join(c.Store.SwapKeys(ctx, swaps), c.Store.DeleteKeys(ctx, lost)); err != nil {
			return err
		}
		n += len(swaps)
		done.Lost += len(lost)
		done.Survivors += len(swaps)
		return c.at(StepRewrapped)
	})
	return n, err
}

func (c EraseConfig) at(s Step) error {
	if c.At == nil {
		return nil
	}
	return c.At(s)
}
