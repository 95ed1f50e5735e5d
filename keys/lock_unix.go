//go:build unix && !aix && !illumos && !solaris

package keys

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// modes tells that file modes mean something here.
const modes = true

const lockPatience = 10 * time.Second

// lock takes the lock of a ring file, PATH.lock. The kernel lets go of it when the process dies.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock key ring: %w", err)
	}
	for end := time.Now().Add(lockPatience); ; time.Sleep(20 * time.Millisecond) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
		case time.Now().Before(end):
			continue
		default:
			err = errors.New("another command is changing the ring; try again")
		}
		_ = f.Close()
		return nil, fmt.Errorf("lock key ring: %w", err)
	}
}
