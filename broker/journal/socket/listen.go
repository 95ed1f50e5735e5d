package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Listener listens on a unix socket of mode 0600. It holds a lock beside the socket for as long as it lives.
type Listener struct {
	net.Listener
	path string
	file os.FileInfo
	lock *os.File

	once sync.Once
	err  error
}

// Listen makes a socket. One that is left over from a server that died is removed; one that answers is left alone, and
// so is whatever is not a socket.
func Listen(path string) (*Listener, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l := &Listener{path: path, lock: lock}
	if err := l.listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), lock.Close())
	}
	return l, nil
}

func (l *Listener) listen() error {
	// The lock makes finding, removing and making the socket one step among all that do the same.
	if err := syscall.Flock(int(l.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.New("another server has it; use that one, or stop it first")
	}
	if err := removeStale(l.path); err != nil {
		return err
	}
	// A socket gets its mode only after it is there. It is made in a folder that nobody else may enter, and moved when it
	// has its mode.
	private, err := os.MkdirTemp(filepath.Dir(l.path), ".socket-") // 0700
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(private) }() // what stays is empty and harmless
	made := filepath.Join(private, "s")
	address, release, err := short(made)
	if err != nil {
		return err
	}
	defer release()
	inner, err := net.Listen("unix", address)
	if err != nil {
		return err
	}
	inner.(*net.UnixListener).SetUnlinkOnClose(false) // it has another name by then
	if err := os.Chmod(made, 0o600); err != nil {
		return errors.Join(err, inner.Close())
	}
	if err := os.Link(made, l.path); err != nil { // unlike a rename, a link replaces nothing
		return errors.Join(err, inner.Close())
	}
	l.Listener = inner
	l.file, err = os.Lstat(l.path)
	return err
}

// removeStale removes a socket that nothing listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("something else has this name; move it away, or choose another folder")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := dial(ctx, path)
	if err == nil {
		return errors.Join(errors.New("a server answers there; use that one, or stop it first"), c.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // busy, or not ours to know
		return err
	}
	return os.Remove(path)
}

// Close stops listening, and removes the socket if it still is this one.
func (l *Listener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
			l.err = os.Remove(l.path)
		}
		l.err = errors.Join(l.err, l.Listener.Close(), l.lock.Close())
	})
	return l.err
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	address, release, err := short(path)
	if err != nil {
		return nil, err
	}
	defer release()
	return new(net.Dialer).DialContext(ctx, "unix", address)
}

// short gives a path to a socket that fits in its address (108 bytes on Linux, 104 elsewhere): a long one is reached
// through the open folder.
func short(path string) (address string, release func(), err error) {
	const fits = 100
	if len(path) <= fits {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	address = filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), filepath.Base(path))
	return address, func() { _ = dir.Close() }, nil
}
