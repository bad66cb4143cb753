package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Load reads a file. Relative paths in it become relative to its folder. The error is Problems unless the file cannot be read.
func Load(file string, env func(string) (string, bool)) (*Config, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(raw, file, env)
}

// Parse is Load of a text; file gives the name for problems and the folder for relative paths.
func Parse(text []byte, file string, env func(string) (string, bool)) (*Config, error) {
	dir := filepath.Dir(file)
	d := &decoder{file: file, env: env, seen: map[string]int{}, readFile: func(name string) (string, error) {
		return readSecret(resolve(dir, name))
	}}
	if d.env == nil {
		d.env = func(string) (string, bool) { return "", false }
	}
	c := base()
	d.read(text, c)
	if len(d.problems) == 0 {
		d.environment(reflect.ValueOf(c).Elem(), "")
		d.finish(c, dir)
		d.check(c)
	}
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, d.problems
	}
	return c, nil
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

func (d *decoder) read(text []byte, c *Config) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var root yaml.Node
	err := dec.Decode(&root)
	switch {
	case errors.Is(err, io.EOF):
		return
	case err != nil:
		line, what := 0, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(what); m != nil {
			line, _ = strconv.Atoi(m[1])
			what = m[2]
		}
		d.fail(line, "this is not YAML: %s", what)
		return
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		d.fail(max(second.Line, 0), "a second document begins here; a configuration is one document, without ---")
		return
	}
	d.document(&root, reflect.ValueOf(c).Elem())
}

func resolve(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// readSecret reads a secret's file: one line, at most 64 KiB.
func readSecret(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("cannot read the secret: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", fmt.Errorf("cannot read the secret: %w", err)
	}
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" {
		return "", fmt.Errorf("the secret's file %s is empty", name)
	}
	return s, nil
}

// finish makes paths relative to the file and fills in what follows from other keys.
func (d *decoder) finish(c *Config, dir string) {
	for _, p := range []*string{&c.DataDir, &c.TLS.Cert, &c.TLS.Key, &c.S2S.CAFile, &c.Log.File, &c.PluginDir, &c.Upload.Store.Dir} {
		*p = resolve(dir, *p)
	}
	for i := range c.Bridges {
		b := &c.Bridges[i]
		if strings.ContainsRune(b.Plugin, filepath.Separator) {
			b.Plugin = resolve(dir, b.Plugin)
		}
		if b.Domain == "" && len(c.Domains) > 0 {
			b.Domain = c.Domains[0]
		}
		if b.Transport == "" {
			b.Transport = "mtls"
		}
	}
}

// Notes are things that are accepted but have no effect in this version, one line each, for the log.
func (c *Config) Notes() []string {
	var out []string
	note := func(set bool, key, what string) {
		if set {
			out = append(out, key+": "+what)
		}
	}
	var closed []string
	def := base().Listen
	for _, l := range []struct {
		key        string
		addrs, def []string
	}{
		{"s2s", c.Listen.S2S, def.S2S}, {"s2s_tls", c.Listen.S2STLS, def.S2STLS},
		{"component", c.Listen.Component, def.Component},
	} {
		if len(l.addrs) > 0 && !slices.Equal(l.addrs, l.def) { // nobody asked for the default
			closed = append(closed, l.key+" "+strings.Join(l.addrs, ", "))
		}
	}
	note(len(closed) > 0, "listen", "these services do not exist in this version and are not opened: "+strings.Join(closed, "; "))
	return out
}
