package journal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrLeased tells that another holder has a lease.
var ErrLeased = errors.New("another has the lease")

// Limits of a lease.
const (
	MinLease = time.Second
	MaxLease = time.Minute
)

// Leases lets one process at a time do what only one may do.
type Leases interface {
	// TakeLease gives the lease of a name to a holder for a while, or renews it where that holder has it; ErrLeased where
	// another has. The number it gives is the fence: it rises with every new holding and never falls, so that whatever a
	// late holder still does can be told from what the present one does. A name and a holder are as a writer's name.
	TakeLease(ctx context.Context, name, holder string, ttl time.Duration) (fence uint64, err error)
}

// ValidateLease checks what every backend demands of a lease.
func ValidateLease(name, holder string, ttl time.Duration) error {
	if !ValidWriter(name) || !ValidWriter(holder) || ttl < MinLease || ttl > MaxLease {
		return fmt.Errorf("take lease: its name, holder or time: %w", errors.ErrUnsupported)
	}
	return nil
}
