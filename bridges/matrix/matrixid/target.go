package matrixid

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Kind is what an id names.
type Kind int

// The kinds.
const (
	KindUser  Kind = 1 // @local:server
	KindRoom  Kind = 2 // !opaque:server, or !opaque in room version 12
	KindAlias Kind = 3 // #local:server
)

// Target is something a person typed or linked to.
type Target struct {
	Kind  Kind
	ID    string
	Event string   // the event a link points at, or ""
	Via   []string // servers that know the room
}

// ErrNoTarget says that a text names nothing on Matrix.
var ErrNoTarget = errors.New("matrixid: neither a Matrix id nor a link to one")

// MaxLength is the longest user id, room id or alias in bytes.
const MaxLength = 255

// Parse reads an id, a matrix.to link or a matrix: URI. An e-mail like
// "alice@example.org" is no Matrix id, nor is a bare word.
func Parse(text string) (Target, error) {
	text = strings.TrimSpace(text)
	if rest, ok := cutLink(text); ok {
		return parseLink(rest)
	}
	if rest, ok := strings.CutPrefix(text, "matrix:"); ok {
		return parseURI(rest)
	}
	return parseID(text)
}

func cutLink(text string) (string, bool) {
	for _, scheme := range []string{"https://", "http://"} {
		rest, ok := strings.CutPrefix(text, scheme)
		if !ok {
			continue
		}
		for _, host := range []string{"matrix.to/#/", "www.matrix.to/#/"} {
			if link, ok := strings.CutPrefix(rest, host); ok {
				return link, true
			}
		}
	}
	return "", false
}

// parseLink reads what follows "matrix.to/#/": id[/event][?via=...].
func parseLink(rest string) (Target, error) {
	path, query, _ := strings.Cut(rest, "?")
	room, event, _ := strings.Cut(path, "/")
	id, err := url.PathUnescape(room)
	if err != nil {
		return Target{}, ErrNoTarget
	}
	t, err := parseID(id)
	if err != nil {
		return Target{}, err
	}
	if event, err = url.PathUnescape(event); err == nil && strings.HasPrefix(event, "$") && clean(event) {
		t.Event = event
	}
	t.Via = via(query)
	return t, nil
}

// parseURI reads what follows "matrix:": u/local:server, r/..., roomid/...[/e/event].
func parseURI(rest string) (Target, error) {
	path, query, _ := strings.Cut(rest, "?")
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return Target{}, ErrNoTarget
	}
	sigils := map[string]string{"u": "@", "user": "@", "r": "#", "room": "#", "roomid": "!"}
	sigil, ok := sigils[parts[0]]
	if !ok {
		return Target{}, ErrNoTarget
	}
	id, err := url.PathUnescape(parts[1])
	if err != nil {
		return Target{}, ErrNoTarget
	}
	t, err := parseID(sigil + id)
	if err != nil {
		return Target{}, err
	}
	if len(parts) >= 4 && (parts[2] == "e" || parts[2] == "event") {
		if event, err := url.PathUnescape(parts[3]); err == nil && event != "" && clean(event) {
			t.Event = "$" + event
		}
	}
	t.Via = via(query)
	return t, nil
}

func via(query string) []string {
	values, _ := url.ParseQuery(query)
	var out []string
	for _, v := range values["via"] {
		if ValidServer(v) && !slices.Contains(out, v) && len(out) < 8 {
			out = append(out, v)
		}
	}
	return out
}

func parseID(s string) (Target, error) {
	if len(s) < 2 || len(s) > MaxLength || !clean(s) {
		return Target{}, ErrNoTarget
	}
	local, server, hasServer := strings.Cut(s[1:], ":")
	if local == "" || hasServer && !ValidServer(server) {
		return Target{}, ErrNoTarget
	}
	switch {
	case s[0] == '@' && hasServer:
		return Target{Kind: KindUser, ID: s}, nil
	case s[0] == '#' && hasServer:
		return Target{Kind: KindAlias, ID: s, Via: nil}, nil
	case s[0] == '!' && (hasServer || opaque(local)):
		return Target{Kind: KindRoom, ID: s}, nil
	}
	return Target{}, ErrNoTarget
}

// opaque: MSC4291 room ids are the unpadded URL-safe base64 of a SHA-256.
func opaque(s string) bool {
	if len(s) != 43 {
		return false
	}
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return true
}

func clean(s string) bool {
	for _, r := range s {
		if r <= ' ' || r == 0x7f || r == 0xfffd || r >= 0x80 && r < 0xa0 {
			return false
		}
	}
	return true
}

// Server is the server of a user id, alias or room id; "" if it names none.
func Server(id string) string {
	_, server, _ := strings.Cut(id, ":")
	return server
}

// ValidServer reports whether s is a server name: host[:port], with an IPv6
// address in brackets.
func ValidServer(s string) bool {
	if s == "" || len(s) > 230 {
		return false
	}
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		host, port = s[1:end], strings.TrimPrefix(s[end+1:], ":")
		if s[end+1:] != "" && s[end+1] != ':' {
			return false
		}
		return strings.Trim(host, "0123456789abcdefABCDEF:.") == "" && strings.Contains(host, ":") && digits(port)
	}
	if h, p, ok := strings.Cut(s, ":"); ok {
		if p == "" {
			return false
		}
		host, port = h, p
	}
	if host == "" || !digits(port) {
		return false
	}
	for _, r := range host {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.') {
			return false
		}
	}
	return true
}

func digits(s string) bool { return len(s) <= 5 && strings.Trim(s, "0123456789") == "" }
