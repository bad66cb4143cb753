//go:build !unix

package transport

// canWait is false: a waiting connection holds its buffer on this system.
const canWait = false

func (c *rawConn) tryRead(uintptr) bool { return true }
