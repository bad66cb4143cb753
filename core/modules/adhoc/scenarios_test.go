package adhoc_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/adhoc"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table offers a few commands to alice.
type table struct{}

func (table) Commands(_ context.Context, who jid.JID) []adhoc.Command {
	if who.Local() != "alice" {
		return nil
	}
	return []adhoc.Command{
		{Node: "greet", Title: "Greet somebody", Help: "She is greeted at once.", Fields: []form.Field{
			{Var: "name", Type: form.TextSingle, Label: "NAME", Required: true}, {Var: "secret", Type: form.TextPrivate, Label: "Password"},
			{Var: "loud", Type: form.Boolean, Label: "Loudly"}}},
		{Node: "list", Title: "List things"},
		{Node: "fail", Title: "Fail"},
		{Node: "panic", Title: "Break"},
		{Node: "done", Title: "Do it"},
	}
}

func (table) Run(_ context.Context, _ jid.JID, node string, values map[string][]string) (adhoc.Answer, error) {
	switch node {
	case "greet":
		if values["name"][0] == "nobody" {
			return adhoc.Answer{}, &adhoc.MendError{Text: "There is nobody of that name."}
		}
		mark := ""
		if len(values["loud"]) > 0 && values["loud"][0] == "true" {
			mark = "!"
		}
		return adhoc.Answer{Text: "Hello " + values["name"][0] + mark, Warn: mark != ""}, nil
	case "list":
		return adhoc.Answer{Columns: []string{"name", "size"}, Rows: [][]string{{"a", "1"}, {"b"}}}, nil
	case "fail":
		return adhoc.Answer{}, errors.New("It did not work.")
	case "panic":
		panic("broken")
	}
	return adhoc.Answer{}, nil
}

func TestScenarios(t *testing.T) {
	xmpptest.Play(t, "testdata/scenarios", func(o *xmpptest.Options, key, value string) error {
		if key == "commands" {
			o.Modules.AdHoc = adhoc.Options{Source: table{}, PerPerson: 2}
			return nil
		}
		return xmpptest.StandardOptions(o, key, value)
	})
}
