package xmlstream

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// foreignCase is a document that we write and what it has to mean, in nested lists: name, attributes in
// order, content.
type foreignCase struct {
	XML  string `json:"xml"`
	Want any    `json:"want"`
}

func foreignTree(n *Node) any {
	attrs := map[string]string{}
	for _, a := range n.Attrs {
		attrs[a.Name.Space+" "+a.Name.Local] = a.Value
	}
	content := []any{}
	if n.Text != "" {
		content = append(content, n.Text)
	}
	for _, c := range n.Nodes {
		if c.IsText() {
			content = append(content, c.Text)
		} else {
			content = append(content, foreignTree(c))
		}
	}
	return []any{contentSpace(n.Name.Space) + " " + n.Name.Local, attrs, content}
}

// foreignCases are random trees, and everything among the seeds that the decoder takes.
func foreignCases(t *testing.T) []foreignCase {
	var cases []foreignCase
	add := func(e *Element) {
		cases = append(cases, foreignCase{string(AppendElement(nil, e, "")), foreignTree(e.Node())})
	}
	gen := rapid.Custom(func(t *rapid.T) *Node { return genTree(t, 3) })
	for i := range 400 {
		e := NewElement(NewNode(ns.Client, "message").Add(gen.Example(i)))
		add(&e)
	}
	for _, s := range seeds() {
		_, elements, _ := ourTrees(header + s + trailer)
		for i := range elements {
			add(&elements[i])
		}
	}
	// Every character that may stand in text and in a value, and names of every range.
	var b strings.Builder
	for r := rune(0); r <= 0x10FFFF; r++ {
		if isXMLChar(r) && (r < 0x3000 || r > 0xD700 && r < 0x10010 || r%0x1001 == 0) {
			b.WriteRune(r)
		}
	}
	all := NewElement(NewNode(ns.Client, "message").Add(NewNode("u", "a", "x", b.String()).SetText(b.String())))
	add(&all)
	names := NewNode(ns.Client, "message")
	for r := rune(0x80); r < 0xFFFF; r++ {
		if isNameStart(r) && r%7 == 0 || isNameStart(r) && !isNameStart(r-1) || isNameStart(r) && !isNameStart(r+1) {
			names.Add(NewNode(ns.Client, string(r), string(r), ""))
		}
		if isNameChar(r) && r%5 == 0 || isNameChar(r) && !isNameChar(r-1) || isNameChar(r) && !isNameChar(r+1) {
			names.Add(NewNode(ns.Client, "a"+string(r)))
		}
	}
	e := NewElement(names)
	add(&e)
	return cases
}

// What we write must mean the same to the parsers of our peers (attack 4): expat, which most clients and
// Prosody use, and libxml2 if the machine has it.
func TestForeignParsers(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	cases := foreignCases(t)
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cases.json")
	if err := os.WriteFile(file, in, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, parser := range []string{"expat", "libxml2"} {
		t.Run(parser, func(t *testing.T) {
			cmd := exec.Command(python, filepath.Join("testdata", "foreign.py"), parser, file)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%.2000s%.2000s", err, out.String(), errs.String())
			}
			var result struct {
				Missing  string
				Compared int
			}
			if err := json.Unmarshal(out.Bytes(), &result); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			if result.Missing != "" {
				if parser == "expat" {
					t.Fatal(result.Missing)
				}
				t.Skip(result.Missing)
			}
			if result.Compared != len(cases) || len(cases) < 400 {
				t.Errorf("%d of %d documents were compared", result.Compared, len(cases))
			}
		})
	}
}
