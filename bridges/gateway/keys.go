package gateway

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// The tables of this package. The owner is the bridge's name unless said otherwise.
const (
	tableServer    = "gateway.server"    // owner "", the secret
	tableCursors   = "gateway.cursors"   // key: login and room
	tableState     = "gateway.state"     // the plugin's own memory: 8 bytes of revision and the value
	tableLogins    = "gateway.logins"    // key: login
	tablePersons   = "gateway.persons"   // owner "", key: person id; the bare JID
	tableSent      = "gateway.sent"      // owner: room (of direct chats: portal key); key: occupant id and stanza id; the message's id
	tableReactions = "gateway.reactions" // owner: portal key; see reactions.go
	tableMoved     = "gateway.moved"     // key: portal key as the network says it now; the portal's own key
	tableGhosts    = "gateway.ghosts"    // owner: portal key; key: person id
	tableWatchers  = "gateway.watchers"  // owner: puppet; key: bare JID that subscribed to her presence
	tableFaces     = "gateway.faces"     // key: media key; the picture
	tableLinks     = "gateway.links"     // owner "", key: room; see links.go
	tableHomes     = "gateway.homes"     // key: the own room of a portal that was linked; the portal's key
	tableLeaving   = "gateway.leaving"   // key: portal key; rooms that are to be left when the plugin is there
	tableDead      = "gateway.dead"      // owner: portal key; key: the message's id; see deadletter.go
	tableThreads   = "gateway.threads"   // owner: room; see threads.go
)

var idText = base32.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").WithPadding(base32.NoPadding)

// sep parts the pieces of keys; ids cannot hold it.
const sep = "\x1f"

// portalKeyText is how a portal is named in the store: it also owns the portal's Outbox, so the bridge stands in it.
func portalKeyText(bridge string, k sdk.PortalKey) string {
	return bridge + sep + string(k.Login) + sep + string(k.Room)
}

// parsePortalKey is the reverse.
func parsePortalKey(s string) (bridge string, k sdk.PortalKey, ok bool) {
	parts := strings.SplitN(s, sep, 3)
	if len(parts) != 3 {
		return "", k, false
	}
	return parts[0], sdk.PortalKey{Login: sdk.LoginID(parts[1]), Room: sdk.RemoteRoomID(parts[2])}, true
}

// loadKey takes the secret from the options, or from the store, where it is made once.
func (m *Module) loadKey(ctx context.Context) error {
	secret := m.o.Secret
	if secret == nil {
		var err error
		if secret, err = m.storedSecret(ctx); err != nil {
			return fmt.Errorf("gateway: secret: %w", err)
		}
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "viaduct gateway", 32)
	if err != nil {
		return fmt.Errorf("gateway: secret: %w", err)
	}
	m.key = key
	return nil
}

func (m *Module) storedSecret(ctx context.Context) ([]byte, error) {
	b, err := m.d.Store.Table(tableServer).Get(ctx, "", "secret")
	if err == nil || !errors.Is(err, storage.ErrNotFound) {
		return b, err
	}
	b = make([]byte, 32)
	if _, err := io.ReadFull(m.d.Rand, b); err != nil {
		return nil, err
	}
	u := journal.NewUnit(journal.Lane{})
	u.Add(storage.CompareAndPut{Table: tableServer, Owner: "", Key: "secret", New: b})
	return b, m.commit(ctx, u)
}

// mac is a keyed hash for one purpose.
func (m *Module) mac(purpose, text string) []byte {
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte(purpose + "\x00" + text))
	return h.Sum(nil)
}

// person is the id of an XMPP person towards plugins: stable, tells nothing, safe in a file name.
func (m *Module) person(bare jid.JID) sdk.PersonID {
	bare = bare.Bare()
	id := sdk.PersonID(strings.ToLower(idText.EncodeToString(m.mac("person", bare.String())[:16])))
	m.told.add(id, bare)
	return id
}

// maxTold bounds the persons that are remembered; all of them are in the store, too.
const maxTold = 20000

// told remembers whom this run has named to plugins: an answer can come before the row of the person is committed.
type told struct {
	mu sync.RWMutex
	by map[sdk.PersonID]jid.JID
}

func (t *told) add(id sdk.PersonID, bare jid.JID) {
	if _, known := t.get(id); known {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil || len(t.by) >= maxTold {
		t.by = map[sdk.PersonID]jid.JID{}
	}
	t.by[id] = bare.Clone()
}

func (t *told) get(id sdk.PersonID) (jid.JID, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	j, ok := t.by[id]
	return j, ok
}

// personOf is the reverse, for persons whom a plugin was told of.
func (m *Module) personOf(ctx context.Context, p sdk.PersonID) (jid.JID, bool) {
	if j, ok := m.told.get(p); ok {
		return j, true
	}
	b, err := m.d.Store.Table(tablePersons).Get(ctx, "", string(p))
	if err != nil {
		return jid.JID{}, false
	}
	j, err := jid.Parse(string(b))
	return j, err == nil
}

// opID names an operation: 26 letters and digits, the same whenever the reference is read.
func opID(portal string, ref storage.MessageID, part string) sdk.OpID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", portal, ref, part))
	return sdk.OpID(idText.EncodeToString(sum[:16]))
}

// stanzaIDOf is the id attribute of a message from the network: the same for the same message, so that a correction can name it.
func stanzaIDOf(portal string, remote sdk.RemoteMessageID, part sdk.PartID) string {
	sum := sha256.Sum256([]byte(portal + "\x00" + string(remote) + "\x00" + string(part)))
	return strings.ToLower(idText.EncodeToString(sum[:15]))
}

// dedupeKey recognises an event that is delivered again.
func dedupeKey(portal string, h *sdk.EventHeader, sort string) (key [16]byte) {
	sum := sha256.Sum256([]byte(sort + "\x00" + portal + "\x00" + string(h.ID) + "\x00" + h.Version))
	copy(key[:], sum[:])
	return key
}

// seal encrypts with AES-256-GCM; what it is for is bound to it.
func (m *Module) seal(plain []byte, what string) ([]byte, error) {
	gcm, err := m.gcm()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	if _, err := io.ReadFull(m.d.Rand, nonce); err != nil {
		return nil, fmt.Errorf("gateway: seal: %w", err)
	}
	return gcm.Seal(nonce, nonce, plain, []byte(what)), nil
}

func (m *Module) unseal(sealed []byte, what string) ([]byte, error) {
	gcm, err := m.gcm()
	if err != nil {
		return nil, err
	}
	if len(sealed) < gcm.NonceSize() {
		return nil, errors.New("gateway: unseal: too short")
	}
	plain, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], []byte(what))
	if err != nil {
		return nil, fmt.Errorf("gateway: unseal: %w", err)
	}
	return plain, nil
}

func (m *Module) gcm() (cipher.AEAD, error) {
	block, err := aes.NewCipher(m.key)
	if err != nil {
		return nil, fmt.Errorf("gateway: cipher: %w", err)
	}
	return cipher.NewGCM(block)
}

// partNumber keeps a part id in the id map, whose parts are numbers: up to seven bytes as they are, longer ones as a negative hash, which can be looked
// up but not read back.
func partNumber(p sdk.PartID) int {
	if len(p) <= 7 {
		n := 0
		for i := 0; i < len(p); i++ {
			n = n<<8 | int(p[i])
		}
		return n
	}
	sum := sha256.Sum256([]byte(p))
	n := 0
	for _, c := range sum[:7] {
		n = n<<8 | int(c)
	}
	return -n - 1
}

func partOf(n int) sdk.PartID {
	if n <= 0 {
		return ""
	}
	var b []byte
	for ; n > 0; n >>= 8 {
		b = append([]byte{byte(n)}, b...)
	}
	return sdk.PartID(b)
}
