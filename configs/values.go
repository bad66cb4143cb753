package configs

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Size is a number of bytes; in the file a number or one with KiB, MiB, GiB, kB, MB or GB.
type Size int64

var sizeUnits = []struct {
	suffix string
	factor int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1000}, {"MB", 1000_000}, {"GB", 1000_000_000}, {"B", 1}, {"", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	for _, u := range sizeUnits {
		num, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(num), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.factor {
			break
		}
		*s = Size(n * u.factor)
		return nil
	}
	return fmt.Errorf("%q is not a size; write a number of bytes, or one with KiB, MiB or GiB", text)
}

// Secret is a value that is never shown. It is given in the key, in a file (KEY_file) or in the environment.
type Secret struct{ value string }

// NewSecret returns a secret.
func NewSecret(v string) Secret { return Secret{v} }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// IsZero tells whether there is none.
func (s Secret) IsZero() bool { return s.value == "" }

func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return "[redacted]"
}

// GoString keeps %#v from showing the value.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps logs from showing the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps encoders from showing the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Raw is a subtree of the file that somebody else checks: the config of a bridge.
type Raw struct {
	node *yaml.Node
	json []byte
}

// IsZero tells whether there is none.
func (r Raw) IsZero() bool { return r.node == nil }

// JSON returns the subtree as JSON ("null" if there is none).
func (r Raw) JSON() []byte {
	if r.json == nil {
		return []byte("null")
	}
	return r.json
}

// Line returns the line of a path such as "guilds.0.token" in the subtree, or the nearest line above it.
func (r Raw) Line(path string) int {
	n := r.node
	if n == nil {
		return 0
	}
	line := n.Line
	for _, part := range strings.Split(path, ".") {
		next, at := step(n, part)
		if next == nil {
			break
		}
		n, line = next, at
	}
	return line
}

// step returns the value of a key or index and the line where the key stands.
func step(n *yaml.Node, part string) (*yaml.Node, int) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == part {
				return n.Content[i+1], n.Content[i].Line
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i].Line
		}
	}
	return nil, 0
}

func newRaw(n *yaml.Node) (Raw, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return Raw{}, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return Raw{}, fmt.Errorf("keys must be words: %w", err)
	}
	return Raw{node: n, json: b}, nil
}
