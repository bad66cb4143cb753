package appliance

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/modules/adhoc"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

var sample = &admin.Command{Name: "room affiliation", Args: "ROOM JID owner|admin|none", Min: 2, Max: 3, Short: "change one",
	Flags: []admin.Flag{{Name: "yes", Doc: "do not ask"}, {Name: "reason", Value: "TEXT", Doc: "why"}, {Name: "password-file", Value: "FILE", Local: true}}}

func TestFormOfACommand(t *testing.T) {
	want := []form.Field{
		{Var: "ROOM", Type: form.TextSingle, Label: "ROOM", Required: true},
		{Var: "JID", Type: form.TextSingle, Label: "JID", Required: true},
		{Var: "CHOICE", Type: form.ListSingle, Label: "CHOICE",
			Options: []form.Option{{Label: "owner", Value: "owner"}, {Label: "admin", Value: "admin"}, {Label: "none", Value: "none"}}},
		{Var: "--yes", Type: form.Boolean, Label: "I am sure"},
		{Var: "--reason", Type: form.TextSingle, Label: "why"},
		{Var: "--password-file", Type: form.TextPrivate, Label: "password"},
	}
	if d := cmp.Diff(want, fieldsOf(sample)); d != "" {
		t.Error(d)
	}
	many := fieldsOf(&admin.Command{Name: "upload delete", Args: "[FILE...]"})
	if len(many) != 1 || many[0].Type != form.TextMulti || many[0].Required || many[0].Var != "FILE" {
		t.Errorf("%+v", many)
	}
}

func TestCallOfAForm(t *testing.T) {
	r, err := requestOf(sample, map[string][]string{"ROOM": {" a@b "}, "JID": {"c@d", "ignored"}, "CHOICE": {"none"}, "--yes": {"1"}, "--reason": {""},
		"--password-file": {"xyzzy"}, "--unknown": {"x"}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Args, []string{"a@b", "c@d", "none"}) {
		t.Errorf("arguments %q", r.Args)
	}
	if d := cmp.Diff(map[string]string{"yes": "true", "password-file": "xyzzy"}, r.Flags); d != "" {
		t.Error(d)
	}
	r, err = requestOf(&admin.Command{Name: "x", Args: "FILE..."}, map[string][]string{"FILE": {"one", "", "two"}})
	if err != nil || !slices.Equal(r.Args, []string{"one", "two"}) {
		t.Errorf("arguments %q, %v", r.Args, err)
	}
	var mend *adhoc.MendError
	if _, err = requestOf(sample, map[string][]string{"--yes": {"maybe"}}); !errors.As(err, &mend) {
		t.Errorf("%v", err)
	}
}

// TestNodesDiffer: two commands must not share a node, nor two fields of one command a name.
func TestNodesDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, c := range Table() {
		if other := seen[nodeOf(c.Name)]; other != "" {
			t.Errorf("%q and %q are one node", c.Name, other)
		}
		seen[nodeOf(c.Name)] = c.Name
		names := map[string]bool{}
		for _, f := range fieldsOf(c) {
			if names[f.Var] || f.Label == "" {
				t.Errorf("%s: the field %q is there twice, or has no label", c.Name, f.Var)
			}
			names[f.Var] = true
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d commands", len(seen))
	}
}
