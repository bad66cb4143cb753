package upload

import (
	"encoding/base32"
	"io"
	"mime"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is how many bytes of a file's name are kept.
const maxName = 150

// idBytes are the random bytes of an id: 160 bits (attacks row 14).
const idBytes = 20

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID returns an id that nobody can guess.
func newID(rand io.Reader) (string, error) {
	b := make([]byte, idBytes)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", err
	}
	return idEncoding.EncodeToString(b), nil
}

// isID tells whether a text has the form of an id.
func isID(s string) bool {
	if len(s) != idEncoding.EncodedLen(idBytes) {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// cleanName makes a file's name harmless in a URL, a header and somebody's download folder, and keeps the rest of it, above all its ending (XEP-0363
// §4). It never becomes part of a path on this machine.
func cleanName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r): // Cf: also what turns the direction of text around
			return -1
		case unicode.IsSpace(r):
			return ' '
		case strings.ContainsRune(`%"<>|*?:;#&`, r): // a percent sign is decoded once more by some proxies
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(name, ". ")
	if len(name) > maxName {
		ext := path.Ext(name)
		if len(ext) > 20 {
			ext = ""
		}
		name = strings.TrimRight(cut(name[:len(name)-len(ext)], maxName-len(ext)), ". ") + ext
	}
	if name == "" {
		return "file"
	}
	return name
}

// cut shortens a text to at most n bytes, between two runes.
func cut(s string, n int) string {
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:min(n, len(s))]
}

// mediaType reads a media type: the type itself and its charset, if it has one. It returns "" for what is none.
func mediaType(s string) string {
	base, params, err := mime.ParseMediaType(s)
	if err != nil || strings.Count(base, "/") != 1 || len(s) > 200 {
		return ""
	}
	keep := map[string]string{}
	if cs := params["charset"]; cs != "" {
		keep["charset"] = cs
	}
	return mime.FormatMediaType(base, keep)
}

// sameType compares two media types without their parameters.
func sameType(a, b string) bool { return baseType(a) == baseType(b) }

func baseType(s string) string {
	base, _, _ := strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(base))
}

// anyType is the type of a file of which nothing is known (XEP-0363 §7).
const anyType = "application/octet-stream"

// shown are the types that a browser may show: it cannot be made to act by them. Everything else is an attachment, SVG and HTML above all (attacks row 33).
var shown = map[string]bool{
	"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true, "image/avif": true, "image/bmp": true, "image/heic": true, "image/jxl": true,
	"audio/mpeg": true, "audio/mp4": true, "audio/aac": true, "audio/ogg": true, "audio/opus": true, "audio/flac": true, "audio/wav": true, "audio/x-wav": true, "audio/webm": true,
	"video/mp4": true, "video/webm": true, "video/ogg": true, "video/quicktime": true, "video/3gpp": true,
}

// disposition is the Content-Disposition of a file (RFC 6266 §4).
func disposition(mediaType, name string) string {
	kind := "attachment"
	if shown[baseType(mediaType)] {
		kind = "inline"
	}
	if v := mime.FormatMediaType(kind, map[string]string{"filename": name}); v != "" {
		return v
	}
	return kind
}

// link returns the URL of a file: percent-encoded, as XEP-0363 §4 wants.
func (m *Module) link(id, name string) string {
	return m.base.String() + Path + id + "/" + url.PathEscape(name)
}

// FileLink is the URL of a file that was stored under an id and a name.
func (m *Module) FileLink(id, name string) string { return m.link(id, name) }

// FilePath is the path by which ServeHTTP serves a file.
func (*Module) FilePath(id, name string) string { return Path + id + "/" + name }

// FileID returns the id of a file from its URL; ok is false for what is no link to a file of this server.
func (m *Module) FileID(link string) (id string, ok bool) {
	u, err := url.Parse(link)
	if err != nil || !strings.EqualFold(u.Scheme, m.base.Scheme) || !strings.EqualFold(u.Host, m.base.Host) {
		return "", false
	}
	rest, ok := strings.CutPrefix(u.Path, m.base.Path)
	if !ok {
		return "", false
	}
	id, name, ok := splitPath(rest)
	return id, ok && name != ""
}

// splitPath takes the decoded path of a file apart.
func splitPath(p string) (id, name string, ok bool) {
	rest, ok := strings.CutPrefix(p, Path)
	if !ok {
		return "", "", false
	}
	id, name, ok = strings.Cut(rest, "/")
	if !ok || !isID(id) || name == "" || strings.ContainsAny(name, "/\\\x00") || !utf8.ValidString(name) {
		return "", "", false
	}
	return id, name, true
}
