package upload

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// slot is what a PUT may do; it travels in the URL, signed.
type slot struct {
	ID      string  `json:"-"` // of the path
	Name    string  `json:"-"`
	User    string  `json:"u"`
	Size    int64   `json:"s"`
	Type    string  `json:"t,omitempty"` // "": the client did not say
	Until   int64   `json:"e"`           // seconds; the slot's own end
	Purpose purpose `json:"p,omitempty"`
	Before  int64   `json:"b,omitempty"` // milliseconds; the file's end that the client asked for
}

var (
	errToken     = errors.New("upload: this is no slot of this server")
	errTokenOver = errors.New("upload: the slot has ended")
)

// signer makes and checks the tokens of slots: payload and HMAC-SHA-256 in base64url, with a dot between.
type signer struct{ key []byte }

// mac is over the path, too, each part behind a byte that none of them has.
func (s *signer) mac(id, name, payload string) []byte {
	h := hmac.New(sha256.New, s.key)
	for _, part := range []string{"slot", id, name, payload} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h.Sum(nil)
}

// sign returns the token of a slot.
func (s *signer) sign(sl slot) (string, error) {
	raw, err := json.Marshal(sl)
	if err != nil {
		return "", err
	}
	payload := base64.RawURLEncoding.EncodeToString(raw)
	return payload + "." + base64.RawURLEncoding.EncodeToString(s.mac(sl.ID, sl.Name, payload)), nil
}

// open checks a token and returns its slot. What is in it is not looked at before the signature is.
func (s *signer) open(id, name, token string, now time.Time) (slot, error) {
	payload, sig, ok := strings.Cut(token, ".")
	got, err := base64.RawURLEncoding.Strict().DecodeString(sig)
	if !ok || err != nil || strings.ContainsRune(name, 0) || !hmac.Equal(got, s.mac(id, name, payload)) {
		return slot{}, errToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return slot{}, errToken
	}
	sl := slot{ID: id, Name: name}
	if err := json.Unmarshal(raw, &sl); err != nil {
		return slot{}, errToken
	}
	if now.Unix() >= sl.Until {
		return slot{}, errTokenOver
	}
	return sl, nil
}
