//go:build !unix || aix || illumos || solaris

package keys

import "errors"

const modes = false

// lock fails: without flock two commands could lose each other's changes.
func lock(string) (func(), error) {
	return nil, errors.New("lock key ring: rings can only be changed on Linux, macOS and BSD; run the command there")
}
