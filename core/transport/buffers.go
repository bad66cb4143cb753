package transport

import "sync"

const (
	// maxRecord is the longest body of a TLS record, TLS 1.2's ciphertext.
	maxRecord    = 16384 + 2048
	recordHeader = 5

	// rawSize holds a whole record and room to read on; it is a size class of
	// the allocator.
	rawSize = 20480
	// plainSize holds what one record decrypts to, so that one Read empties
	// crypto/tls. It is also the most that a Writer puts into one record.
	plainSize = 16384
)

// Buffers are the read and write buffers that the connections of a server share.
// They are in use only while bytes are on their way.
type Buffers struct {
	raw, plain sync.Pool
}

// NewBuffers makes an empty pool.
func NewBuffers() *Buffers {
	return &Buffers{
		raw:   sync.Pool{New: func() any { return new([rawSize]byte) }},
		plain: sync.Pool{New: func() any { return new([plainSize]byte) }},
	}
}
