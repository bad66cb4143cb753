package files

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Media ids that the server makes.
const (
	stored = "file:" // a file of the Store: id, "/", name
	linked = "link:" // a lazy file of another bridge: the sealed part of its link
	face   = "face:" // the picture of an account, see gateway
)

// target is what a link points at.
type target struct {
	Bridge string        `json:"b"`
	ID     sdk.MediaID   `json:"i"`
	Key    string        `json:"k,omitempty"`
	Login  sdk.LoginID   `json:"l,omitempty"`
	In     sdk.PortalKey `json:"p,omitzero"`
	Name   string        `json:"n"`
	Type   string        `json:"t,omitempty"`
	Size   int64         `json:"s"`
}

// content names what the target holds: equal names are not fetched twice.
func (t *target) content() string {
	key := t.Key
	if key == "" {
		key = string(t.ID)
	}
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sealer makes the opaque part of links. The same target has the same link, so that a message that is written again stays the same.
type sealer struct {
	aead  cipher.AEAD
	nonce []byte // key of nonces
}

func newSealer(key []byte) (*sealer, error) {
	sum := sha256.Sum256(append([]byte("seal "), key...))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	nonce := sha256.Sum256(append([]byte("nonce "), key...))
	return &sealer{aead: aead, nonce: nonce[:]}, nil
}

func (s *sealer) seal(t *target) (string, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("files: %w", err)
	}
	// A nonce that is a keyed hash of the text is never used for two texts.
	mac := hmac.New(sha256.New, s.nonce)
	mac.Write(b)
	nonce := mac.Sum(nil)[:s.aead.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, b, nil)), nil
}

// maxToken bounds what is looked at.
const maxToken = 16 << 10

func (s *sealer) open(token string) (*target, bool) {
	if len(token) > maxToken {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	n := s.aead.NonceSize()
	if err != nil || len(b) < n {
		return nil, false
	}
	plain, err := s.aead.Open(nil, b[:n], b[n:], nil)
	if err != nil {
		return nil, false
	}
	t := &target{}
	return t, json.Unmarshal(plain, t) == nil
}

// Path is where the handler is mounted, in front of the bridges' own: "/bridge/NAME/media/TOKEN/FILENAME".
const Path = "/bridge/"

const mediaPart = "/media/"

func (f *Files) link(t *target, token string) string {
	return f.base.String() + Path + url.PathEscape(t.Bridge) + mediaPart + token + "/" + url.PathEscape(t.Name)
}

// splitPath takes the path of a link apart; ok is false for what is not ours but may be the bridge's.
func splitPath(p string) (bridge, token, name string, ok bool) {
	rest, ok := strings.CutPrefix(p, Path)
	if !ok {
		return "", "", "", false
	}
	bridge, rest, ok = strings.Cut(rest, "/")
	if !ok {
		return "", "", "", false
	}
	rest, ok = strings.CutPrefix("/"+rest, mediaPart)
	if !ok {
		return "", "", "", false
	}
	token, name, ok = strings.Cut(rest, "/")
	return bridge, token, name, ok
}

// Serves tells whether a path is one of a bridged file; the others below Path are the bridges' own.
func Serves(path string) bool {
	_, _, _, ok := splitPath(path)
	return ok
}

// fileName is a name for the end of a link.
func fileName(m sdk.Media) string {
	name := path.Base("/" + strings.ReplaceAll(m.Name, "\\", "/"))
	name = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if len(name) > 200 {
		name = strings.ToValidUTF8(name[len(name)-200:], "")
	}
	if name == "" || name == "/" || name == "." {
		return "file"
	}
	return name
}
