package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ConfigProblem is one thing wrong with a configuration. Path leads to the key
// ("guilds.0.token"), so that the caller can name its line.
type ConfigProblem struct {
	Path string
	Text string
}

// String is the problem in one line.
func (p ConfigProblem) String() string { return p.Path + ": " + p.Text }

// SecretSource gives a secret from elsewhere. Both functions take the path of
// the secret; ReadFile also the file named by `KEY_file`.
type SecretSource struct {
	ReadFile func(path, file string) (string, error)
	Env      func(path string) (string, bool)
}

// Check validates a subtree of configuration, given as JSON (null or nothing is
// an empty one), as a person wrote it: secrets may stand in the key, in a file or
// in the environment, but in one place only.
func (s Schema) Check(raw []byte, env func(path string) bool) []ConfigProblem {
	tree, err := decodeTree(raw)
	if err != nil {
		return []ConfigProblem{{Path: ".", Text: err.Error()}}
	}
	c := configChecker{env: env}
	c.object("", s.Keys, tree)
	return c.problems
}

// Resolve checks the subtree and returns it as the bridge gets it: each secret in
// its own key, whichever source it came from.
func (s Schema) Resolve(raw []byte, src SecretSource) ([]byte, []ConfigProblem) {
	tree, err := decodeTree(raw)
	if err != nil {
		return nil, []ConfigProblem{{Path: ".", Text: err.Error()}}
	}
	env := func(path string) bool {
		if src.Env == nil {
			return false
		}
		_, ok := src.Env(path)
		return ok
	}
	c := configChecker{env: env}
	c.object("", s.Keys, tree)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	c.resolve("", s.Keys, tree, src)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	out, err := json.Marshal(tree)
	if err != nil {
		return nil, []ConfigProblem{{Path: ".", Text: err.Error()}}
	}
	return out, nil
}

func decodeTree(raw []byte) (map[string]any, error) {
	tree := map[string]any{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return tree, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("not a mapping of keys to values: %w", err)
	}
	if tree == nil { // null
		tree = map[string]any{}
	}
	return tree, nil
}

type configChecker struct {
	env      func(path string) bool
	problems []ConfigProblem
}

func (c *configChecker) fail(path, format string, args ...any) {
	c.problems = append(c.problems, ConfigProblem{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (c *configChecker) object(path string, keys []ConfigKey, tree map[string]any) {
	known := map[string]bool{}
	for _, k := range keys {
		known[k.Name] = true
		here := join(path, k.Name)
		v := tree[k.Name]
		sources := 0
		if v != nil {
			sources++
			c.value(here, k, v)
		}
		if k.Secret {
			known[k.Name+"_file"] = true
			if f := tree[k.Name+"_file"]; f != nil {
				sources++
				c.value(here+"_file", ConfigKey{Type: TypeString}, f)
			}
			if c.env != nil && c.env(here) {
				sources++
			}
		}
		if sources > 1 {
			c.fail(here, "given more than once: use one of the key, %s_file and the environment", k.Name)
		}
		if sources == 0 && k.Required {
			c.fail(here, "is needed: %s", k.Doc)
		}
	}
	for _, name := range sortedKeys(tree) {
		if !known[name] {
			c.fail(join(path, name), "unknown key%s", suggest(name, known))
		}
	}
}

func (c *configChecker) value(path string, k ConfigKey, v any) {
	var ok bool
	switch k.Type {
	case TypeString:
		_, ok = v.(string)
	case TypeBool:
		_, ok = v.(bool)
	case TypeInt:
		n, isNumber := v.(json.Number)
		_, err := strconv.ParseInt(n.String(), 10, 64)
		ok = isNumber && err == nil
	case TypeNumber:
		n, isNumber := v.(json.Number)
		f, err := n.Float64()
		ok = isNumber && err == nil && !math.IsInf(f, 0)
	case TypeDuration:
		s, isString := v.(string)
		_, err := time.ParseDuration(s)
		ok = isString && err == nil
	default:
		ok = c.nested(path, k, v)
	}
	if !ok {
		c.fail(path, "a %s is needed", k.Type)
		return
	}
	if s, isString := v.(string); isString && len(k.Enum) > 0 && !slices.Contains(k.Enum, s) {
		c.fail(path, "one of %s is needed", strings.Join(k.Enum, ", "))
	}
}

func (c *configChecker) nested(path string, k ConfigKey, v any) bool {
	switch k.Type {
	case TypeObject:
		m, ok := v.(map[string]any)
		if ok {
			c.object(path, k.Keys, m)
		}
		return ok
	case TypeMap:
		m, ok := v.(map[string]any)
		for _, name := range sortedKeys(m) {
			c.value(join(path, name), *k.Elem, m[name])
		}
		return ok
	case TypeList:
		l, ok := v.([]any)
		for i, e := range l {
			c.value(join(path, strconv.Itoa(i)), *k.Elem, e)
		}
		return ok
	}
	return false
}

// resolve moves secrets into their keys, in place, and drops nulls.
func (c *configChecker) resolve(path string, keys []ConfigKey, tree map[string]any, src SecretSource) {
	for _, k := range keys {
		here := join(path, k.Name)
		if tree[k.Name] == nil {
			delete(tree, k.Name)
		}
		if k.Secret {
			c.secret(here, k.Name, tree, src)
		}
		c.resolveNested(here, k, tree[k.Name], src)
	}
}

func (c *configChecker) secret(path, name string, tree map[string]any, src SecretSource) {
	file, hasFile := tree[name+"_file"].(string)
	delete(tree, name+"_file")
	if hasFile {
		if src.ReadFile == nil {
			c.fail(path+"_file", "files cannot be read here")
			return
		}
		v, err := src.ReadFile(path, file)
		if err != nil {
			c.fail(path+"_file", "%v", err)
			return
		}
		tree[name] = strings.TrimRight(v, "\r\n")
	}
	if src.Env != nil {
		if v, ok := src.Env(path); ok {
			tree[name] = v
		}
	}
}

func (c *configChecker) resolveNested(path string, k ConfigKey, v any, src SecretSource) {
	switch v := v.(type) {
	case map[string]any:
		if k.Type == TypeObject {
			c.resolve(path, k.Keys, v, src)
			return
		}
		if k.Elem == nil {
			return
		}
		for name, e := range v {
			c.resolveNested(join(path, name), *k.Elem, e, src)
		}
	case []any:
		if k.Elem == nil {
			return
		}
		for i, e := range v {
			c.resolveNested(join(path, strconv.Itoa(i)), *k.Elem, e, src)
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// suggest names a known key that is nearly the same.
func suggest(name string, known map[string]bool) string {
	fold := func(s string) string { return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s)) }
	for _, k := range sortedKeys(known) {
		if strings.HasPrefix(fold(k), fold(name)) || strings.HasPrefix(fold(name), fold(k)) {
			return ", did you mean " + k + "?"
		}
	}
	return ""
}
