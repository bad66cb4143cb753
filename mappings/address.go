package mappings

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Kind is what an address of a bridge stands for.
type Kind uint8

// The kinds. A KindHash is a person or room whose id does not fit into an address: only the gateway's tables know whose it is.
const (
	KindNone Kind = iota
	KindUser
	KindRoom
	KindAlias
	KindHash
)

// Address is the address of a remote id.
type Address struct {
	JID jid.JID
	// Hashed: the id is longer than an address can be; whoever wants it back must have kept it.
	Hashed bool
}

// ErrAddress: the id or the address is none of this network.
var ErrAddress = errors.New("mappings: no address of this network")

const (
	base32Prefix = "b32-"
	hashPrefix   = "h-"
)

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Codec turns the ids of one network into addresses of one bridge and back.
type Codec struct {
	users, rooms string
	userForms    []form
	roomForms    []form // rooms and aliases, the longest local prefix first
}

type form struct {
	sdk.AddressForm
	kind Kind
}

// NewCodec returns the codec for people at the host users and rooms at the host rooms.
func NewCodec(shape sdk.AddressShape, users, rooms string) (*Codec, error) {
	if err := shape.Validate(); err != nil {
		return nil, fmt.Errorf("mappings: %w", err)
	}
	for _, host := range []string{users, rooms} {
		if _, err := jid.New("", host, ""); err != nil {
			return nil, fmt.Errorf("mappings: host %q: %w", host, err)
		}
	}
	c := &Codec{users: users, rooms: rooms}
	for _, f := range shape.Users {
		c.userForms = append(c.userForms, form{f, KindUser})
	}
	for _, f := range shape.Rooms {
		c.roomForms = append(c.roomForms, form{f, KindRoom})
	}
	for _, f := range shape.Aliases {
		c.roomForms = append(c.roomForms, form{f, KindAlias})
	}
	slices.SortStableFunc(c.roomForms, func(a, b form) int { return len(b.LocalPrefix) - len(a.LocalPrefix) })
	return c, nil
}

// User returns the address of a person.
func (c *Codec) User(id sdk.RemoteUserID) (Address, error) {
	return c.encode(c.userForms, KindUser, string(id), c.users)
}

// Room returns the address of a room.
func (c *Codec) Room(id sdk.RemoteRoomID) (Address, error) {
	return c.encode(c.roomForms, KindRoom, string(id), c.rooms)
}

// Alias returns the address under which a typable name is asked for.
func (c *Codec) Alias(name string) (Address, error) {
	return c.encode(c.roomForms, KindAlias, name, c.rooms)
}

// Decode returns what an address (without its resource) stands for. There is one address for an id: any other spelling is refused. For a
// KindHash the id is the hash.
func (c *Codec) Decode(j jid.JID) (Kind, string, error) {
	var forms []form
	fallback := KindUser
	switch j.Domain() {
	case c.users:
		forms = c.userForms
	case c.rooms:
		forms, fallback = c.roomForms, KindRoom
	default:
		return KindNone, "", ErrAddress
	}
	kind, id, ok := decode(forms, fallback, j.Local())
	if !ok {
		return KindNone, "", ErrAddress
	}
	if kind == KindHash {
		return kind, id, nil
	}
	back, err := c.encode(forms, kind, id, j.Domain())
	if err != nil || back.JID != j.Bare() {
		return KindNone, "", ErrAddress
	}
	return kind, id, nil
}

// encode tries the plain spelling, then base 32, then the hash; whatever is returned reads back as the id (but for the hash).
func (c *Codec) encode(forms []form, kind Kind, id, host string) (Address, error) {
	if id == "" || len(id) > sdk.MaxID {
		return Address{}, fmt.Errorf("%w: an id of %d bytes", ErrAddress, len(id))
	}
	if local, ok := encodeLocal(forms, kind, id); ok && len(local) <= jid.MaxPart {
		if j, err := jid.New(local, host, ""); err == nil && readsBack(forms, kind, id, j) {
			return Address{JID: j}, nil
		}
	}
	if kind == KindAlias { // somebody types it, so there is no point in an unreadable one
		return Address{}, ErrAddress
	}
	local := base32Prefix + lowerBase32.EncodeToString([]byte(id))
	if len(local) <= jid.MaxPart {
		j, err := jid.New(local, host, "")
		if err == nil && readsBack(forms, kind, id, j) {
			return Address{JID: j}, nil
		}
	}
	sum := sha256.Sum256([]byte(id))
	j, err := jid.New(hashPrefix+lowerBase32.EncodeToString(sum[:]), host, "")
	if err != nil {
		return Address{}, fmt.Errorf("mappings: encode: %w", err)
	}
	return Address{JID: j, Hashed: true}, nil
}

func readsBack(forms []form, kind Kind, id string, j jid.JID) bool {
	k, back, ok := decode(forms, kind, j.Local())
	return ok && k == kind && back == id
}

// encodeLocal writes an id in the first form that it fits.
func encodeLocal(forms []form, kind Kind, id string) (string, bool) {
	for _, f := range forms {
		if f.kind != kind {
			continue
		}
		segments, ok := f.Split(id)
		if !ok {
			continue
		}
		for i, s := range segments {
			segments[i] = encodeSegment(f.Segments[i].Case, s)
		}
		return f.LocalPrefix + strings.Join(segments, "%"), true
	}
	return "", false
}

// decode reads a local part. fallback is the kind of what has no form.
func decode(forms []form, fallback Kind, local string) (Kind, string, bool) {
	if rest, ok := strings.CutPrefix(local, base32Prefix); ok && rest != "" && isBase32(rest) {
		id, err := lowerBase32.DecodeString(rest)
		if err == nil && lowerBase32.EncodeToString(id) == rest {
			return fallbackKind(fallback), string(id), true
		}
	}
	if rest, ok := strings.CutPrefix(local, hashPrefix); ok && len(rest) == 52 && isBase32(rest) {
		return KindHash, rest, true
	}
	for _, f := range forms {
		if id, ok := decodeForm(f, local); ok {
			return f.kind, id, true
		}
	}
	return KindNone, "", false
}

func fallbackKind(k Kind) Kind {
	if k == KindAlias {
		return KindRoom
	}
	return k
}

func isBase32(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// decodeForm reads a local part in one form: it is parted at the last '%' signs, since the parts behind are those that cannot hold one.
func decodeForm(f form, local string) (string, bool) {
	rest, ok := strings.CutPrefix(local, f.LocalPrefix)
	if !ok || rest == "" {
		return "", false
	}
	segments := splitLast(rest, len(f.Segments))
	for i, s := range segments {
		var fine bool
		if segments[i], fine = decodeSegment(f.Segments[i].Case, s); !fine || segments[i] == "" {
			return "", false
		}
	}
	id := f.Join(segments)
	back, ok := f.Split(id)
	return id, ok && slices.Equal(back, segments)
}

// splitLast parts s at its last n-1 percent signs.
func splitLast(s string, n int) []string {
	var out []string
	for len(out) < n-1 {
		i := strings.LastIndexByte(s, '%')
		if i < 0 {
			break
		}
		out = append(out, s[i+1:])
		s = s[:i]
	}
	out = append(out, s)
	slices.Reverse(out)
	return out
}
