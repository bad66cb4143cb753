package main

import (
	"bufio"
	"bytes"
	_ "embed" // the titles
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/c2s"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
)

// titles has a line "number, tab, title" for each XEP.
//
//go:embed titles.tsv
var titles string

const xepsHead = `# Specifications

Generated from what the modules say of themselves and from the scenarios that ran (` + "`go generate ./internal/dev/docgen`" + ` plays them all); do not edit.

A scenario is a script of stanzas that is played against a whole server on real sockets; ` + "`testdata/scenarios/<specification>`" + ` of a package has those of a
specification, each citing its section. **untested** is what no scenario plays, whatever other tests there may be.

| specification | title | version | state | scenarios | remarks |
|---|---|---|---|---|---|
`

// spec is a row: what all who take part in a specification say of it.
type spec struct {
	id, title, version, status string
	notes                      []string
	scenarios                  []string
}

// xepsReference makes docs/xeps.md.
func xepsReference(top string) (string, error) {
	rows, err := specs(top)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(xepsHead)
	for _, s := range rows {
		tested := "**untested**"
		if n := len(s.scenarios); n > 0 {
			tested = fmt.Sprint(n)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", s.id, s.title, s.version, s.status, tested, strings.Join(s.notes, "; "))
	}
	b.WriteString("\n## The scenarios\n\n")
	for _, s := range rows {
		if len(s.scenarios) > 0 {
			fmt.Fprintf(&b, "- %s: %s\n", s.id, strings.Join(s.scenarios, ", "))
		}
	}
	return b.String(), nil
}

// specs gathers the rows, RFCs first, in the order of their numbers.
func specs(top string) ([]*spec, error) {
	rows := map[string]*spec{}
	add := func(from string, all []module.Spec) error {
		for _, s := range all {
			r := rows[s.ID]
			if r == nil {
				r = &spec{id: s.ID, title: titleOf(s.ID), version: s.Version, status: s.Status}
				rows[s.ID] = r
			}
			if r.title == "" {
				return fmt.Errorf("%s: %s has no title", from, s.ID)
			}
			if r.version != s.Version {
				return fmt.Errorf("%s: %s %s, elsewhere %s", from, s.ID, s.Version, r.version)
			}
			if s.Status != "complete" {
				r.status = s.Status
			}
			if s.Note != "" {
				r.notes = append(r.notes, s.Note)
			}
		}
		return nil
	}
	if err := add("core/c2s", c2s.Specs()); err != nil {
		return nil, err
	}
	for _, m := range modules.List(modules.Options{}) {
		if err := add(m.Info().Name, m.Info().Specs); err != nil {
			return nil, err
		}
	}
	files, err := scenarios(top)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		id, name := specOf(f)
		r := rows[id]
		if r == nil {
			return nil, fmt.Errorf("%s: no module names %s in its Info", f, id)
		}
		r.scenarios = append(r.scenarios, name)
	}
	out := make([]*spec, 0, len(rows))
	for _, r := range rows {
		slices.Sort(r.scenarios)
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *spec) int { return strings.Compare(a.id, b.id) })
	return out, nil
}

// rfcs are the titles of the RFCs that modules name.
var rfcs = map[string]string{
	"RFC 5802": "Salted Challenge Response Authentication Mechanism (SCRAM)",
	"RFC 6120": "XMPP: Core",
	"RFC 6121": "XMPP: Instant Messaging and Presence",
	"RFC 7395": "An XMPP Subprotocol for WebSocket",
	"RFC 7622": "XMPP: Address Format",
	"RFC 7677": "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS",
	"RFC 9266": "Channel Bindings for TLS 1.3",
}

func titleOf(id string) string {
	number, ok := strings.CutPrefix(id, "XEP-")
	if !ok {
		return rfcs[id]
	}
	for line := range strings.Lines(titles) {
		if n, title, _ := strings.Cut(strings.TrimSpace(line), "\t"); n == number {
			return title
		}
	}
	return ""
}

// scenarios lists the files of the tree.
func scenarios(top string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(filepath.Join(top, "core"), func(file string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(file) == ".scs" && strings.Contains(filepath.ToSlash(file), "/testdata/scenarios/") {
			rel, _ := filepath.Rel(top, file)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	return out, err
}

// specOf reads "core/modules/ping/testdata/scenarios/xep0199/4-ping.scs" as XEP-0199 and "4-ping".
func specOf(file string) (id, name string) {
	_, rest, _ := strings.Cut(file, "/testdata/scenarios/")
	folder, name, _ := strings.Cut(strings.TrimSuffix(rest, ".scs"), "/")
	if n, ok := strings.CutPrefix(folder, "xep"); ok {
		return "XEP-" + n, name
	}
	return strings.ToUpper(folder[:3]) + " " + folder[3:], name
}

// playAll plays every scenario of the tree; one that fails, or does not run, is an error.
func playAll(top string) error {
	files, err := scenarios(top)
	if err != nil {
		return err
	}
	args := []string{"test", "-count=1", "-json", "-run", "^TestScenarios$"}
	for _, f := range files {
		dir, _, _ := strings.Cut(f, "/testdata/")
		if p := "./" + dir; !slices.Contains(args, p) {
			args = append(args, p)
		}
	}
	cmd := exec.Command("go", args...) //nolint:gosec // packages of this tree
	cmd.Dir, cmd.Stderr = top, os.Stderr
	out, runErr := cmd.Output()
	passed, err := results(bytes.NewReader(out))
	if err != nil {
		return err
	}
	var missing []error
	for _, f := range files {
		dir, rest, _ := strings.Cut(f, "/testdata/scenarios/")
		if !passed[dir+" TestScenarios/"+strings.TrimSuffix(rest, ".scs")] {
			missing = append(missing, fmt.Errorf("%s did not pass", f))
		}
	}
	if missing == nil && runErr != nil {
		return fmt.Errorf("play the scenarios: %w", runErr)
	}
	return errors.Join(missing...)
}

// results reads what go test -json prints: "package test" of what passed.
func results(r io.Reader) (map[string]bool, error) {
	passed := map[string]bool{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct{ Action, Package, Test string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read what go test printed: %w", err)
		}
		if e.Action == "pass" && e.Test != "" {
			_, dir, _ := strings.Cut(e.Package, "/viaduct/")
			passed[path.Join(dir)+" "+e.Test] = true
		}
	}
	return passed, lines.Err()
}

const doapHead = `<?xml version="1.0" encoding="UTF-8"?>
<!-- Generated (go generate ./internal/dev/docgen); do not edit. XEP-0453. -->
<rdf:RDF xmlns="http://usefulinc.com/ns/doap#" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:xmpp="https://linkmauve.fr/ns/xmpp-doap#">
  <Project>
    <name>Viaduct</name>
    <shortdesc xml:lang="en">XMPP server with bridges to other networks</shortdesc>
    <programming-language>Go</programming-language>
    <category rdf:resource="https://linkmauve.fr/ns/xmpp-doap#category-server"/>
`

// doap makes docs/doap.xml (XEP-0453), of the same rows.
func doap(top string) (string, error) {
	rows, err := specs(top)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(doapHead)
	for _, s := range rows {
		number, ok := strings.CutPrefix(s.id, "XEP-")
		if !ok {
			fmt.Fprintf(&b, "    <implements rdf:resource=\"https://www.rfc-editor.org/info/rfc%s\"/>\n", strings.TrimPrefix(s.id, "RFC "))
			continue
		}
		fmt.Fprintf(&b, "    <implements><xmpp:SupportedXep><xmpp:xep rdf:resource=\"https://xmpp.org/extensions/xep-%s.html\"/>"+
			"<xmpp:status>%s</xmpp:status><xmpp:version>%s</xmpp:version>", number, s.status, s.version)
		if len(s.notes) > 0 {
			b.WriteString("<xmpp:note>")
			if err := xml.EscapeText(&b, []byte(strings.Join(s.notes, "; "))); err != nil {
				return "", err
			}
			b.WriteString("</xmpp:note>")
		}
		b.WriteString("</xmpp:SupportedXep></implements>\n")
	}
	b.WriteString("  </Project>\n</rdf:RDF>\n")
	return b.String(), nil
}
