package stanzaid

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// SecretLen is the length in bytes of the secret of a server; rooms have one of their own, of any length from 16 up.
const SecretLen = 32

// encodedLen is the length of an id on the wire: 16 bytes in base32 without padding.
const encodedLen = 26

// maxKeys bounds the ciphers that are kept: about 0.6 KiB each.
const maxKeys = 4096

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrSecret says that a secret is too short to make keys of.
var ErrSecret = errors.New("stanzaid: the secret is shorter than 16 bytes")

// Codec turns numbers into ids and back.
type Codec struct {
	secret []byte
	mu     sync.RWMutex
	keys   map[string]cipher.Block // by archive; bounded by maxKeys, emptied when full
}

// NewCodec returns the codec of a secret. The secret is for ever: another one makes all ids that clients remember unknown.
func NewCodec(secret []byte) (*Codec, error) {
	if len(secret) < 16 {
		return nil, ErrSecret
	}
	return &Codec{secret: append([]byte(nil), secret...), keys: map[string]cipher.Block{}}, nil
}

// Encode returns the id by which the archive (a bare JID) shows the number.
func (c *Codec) Encode(archive string, id int64) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(id))
	c.block(archive).Encrypt(b[:], b[:])
	var out [encodedLen]byte
	encoding.Encode(out[:], b[:])
	return string(out[:])
}

// Decode returns the number of an id that this archive made; ok is false for any other text.
func (c *Codec) Decode(archive, s string) (id int64, ok bool) {
	if len(s) != encodedLen {
		return 0, false
	}
	var b [aes.BlockSize + 1]byte
	n, err := encoding.Decode(b[:], []byte(s))
	if err != nil || n != aes.BlockSize {
		return 0, false
	}
	c.block(archive).Decrypt(b[:aes.BlockSize], b[:aes.BlockSize])
	if binary.BigEndian.Uint64(b[8:]) != 0 {
		return 0, false
	}
	id = int64(binary.BigEndian.Uint64(b[:8]))
	// The two spare bits of the last letter make other spellings of the same block: only ours is the id.
	if id < 0 || c.Encode(archive, id) != s {
		return 0, false
	}
	return id, true
}

func (c *Codec) block(archive string) cipher.Block {
	c.mu.RLock()
	k := c.keys[archive]
	c.mu.RUnlock()
	if k != nil {
		return k
	}
	key, err := hkdf.Key(sha256.New, c.secret, nil, "viaduct stanza-id "+archive, 16)
	if err == nil {
		k, err = aes.NewCipher(key)
	}
	if err != nil {
		panic(fmt.Sprintf("stanzaid: derive key: %v", err)) // not reachable: both lengths are constant
	}
	c.mu.Lock()
	if len(c.keys) >= maxKeys {
		clear(c.keys)
	}
	c.keys[archive] = k
	c.mu.Unlock()
	return k
}
