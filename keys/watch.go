package keys

import (
	"context"
	"time"
)

// Watch looks at the ring file every so often (5 s when every is 0) and takes up a changed one, until ctx ends. A file
// that can't be used is told to onError at each look, and the last good ring stays in use.
func (r *Ring) Watch(ctx context.Context, every time.Duration, onError func(error)) {
	if every <= 0 {
		every = 5 * time.Second
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := r.Reload(); err != nil {
				onError(err)
			}
		}
	}
}
