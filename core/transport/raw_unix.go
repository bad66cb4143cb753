//go:build unix

package transport

import (
	"os"
	"syscall"
)

// canWait: sockets are non-blocking and say when they are readable.
const canWait = true

// tryRead is called with the socket, again each time it may have become
// readable; false parks the goroutine. The buffer is held only while it reads,
// so a parked connection owns none. Reading before the first wait is needed:
// readiness is reported by edges, and this one may be past.
func (c *rawConn) tryRead(fd uintptr) bool {
	c.hold()
	for {
		n, err := syscall.Read(int(fd), c.data[c.w:])
		switch err {
		case nil:
			c.tryN = n
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			c.release()
			return false
		}
		c.tryErr = os.NewSyscallError("read", err)
		return true
	}
}
