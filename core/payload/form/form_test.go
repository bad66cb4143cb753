package form

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

var update = flag.Bool("update", false, "write the golden files")

func parse(t testing.TB, xml string) *xmlstream.Node {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte(xml))
	if err != nil || f.NumChildren() != 1 {
		t.Fatalf("%s: %v", xml, err)
	}
	return f.At(0).Node()
}

// Each testdata/*.xml is a form; beside it stands what it reads as when it is written again. The forms are those of XEP-0004 §4, XEP-0045
// and of clients; with unknown children and attributes.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			in, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Parse(parse(t, strings.TrimSpace(string(in))))
			if err != nil {
				t.Fatal(err)
			}
			got := f.Node().String()
			golden := strings.TrimSuffix(file, ".xml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got+"\n"), 0o644); err != nil { //nolint:gosec // a test's own file
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != strings.TrimSpace(string(want)) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			again, err := Parse(f.Node())
			if err != nil || !reflect.DeepEqual(again, f) {
				t.Errorf("read again: %+v, %v; want %+v", again, err, f)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, xml := range map[string]string{
		"another element":     "<y xmlns='jabber:x:data' type='form'/>",
		"another namespace":   "<x xmlns='jabber:x:date' type='form'/>",
		"no type":             "<x xmlns='jabber:x:data'/>",
		"unknown type":        "<x xmlns='jabber:x:data' type='send'/>",
		"field without var":   "<x xmlns='jabber:x:data' type='submit'><field><value>x</value></field></x>",
		"in an item":          "<x xmlns='jabber:x:data' type='result'><item><field type='text-single'/></item></x>",
		"in the table's head": "<x xmlns='jabber:x:data' type='result'><reported><field/></reported></x>",
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := Parse(parse(t, xml)); !errors.Is(err, ErrInvalid) {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
	if _, err := Parse(nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("nothing: %v", err)
	}
}

func TestValues(t *testing.T) {
	f := New(TypeSubmit, "urn:example:f").Text("a", "1").Add(Field{Var: "b"}, Field{Var: "c", Values: []string{"x", "y"}}, Field{Var: "d", Values: []string{""}})
	if f.FormType() != "urn:example:f" || f.Value("a") != "1" || f.Value("b") != "" || f.Value("c") != "x" || f.Value("none") != "" {
		t.Errorf("%+v", f)
	}
	if _, ok := f.Field("none"); ok {
		t.Error("a field that is not there")
	}
	if d, ok := f.Field("d"); !ok || len(d.Values) != 1 {
		t.Error("one empty value is a value")
	}
	if New(TypeForm, "").FormType() != "" {
		t.Error("a form without a type has one")
	}
}

func TestParseBool(t *testing.T) {
	for in, want := range map[string]string{"1": "true", "true": "true", "0": "false", "false": "false", " 1 ": "true", "": "error", "yes": "error", "TRUE": "error"} { //nolint:gocritic // white space around a key is the case
		b, err := ParseBool(in)
		got := map[bool]string{true: "true", false: "false"}[b]
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if b, err := (Field{}).Bool(); b || err != nil {
		t.Errorf("no value: %v %v", b, err)
	}
	if FormatBool(true) != "1" || FormatBool(false) != "0" {
		t.Error("booleans are written as 1 and 0")
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.xml")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frag, err := xmlstream.ParseFragment(b)
		if err != nil || frag.NumChildren() == 0 {
			return
		}
		form, err := Parse(frag.At(0).Node())
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		again, err := Parse(form.Node())
		if err != nil || !reflect.DeepEqual(again, form) {
			t.Fatalf("%+v became %+v, %v", form, again, err)
		}
	})
}
