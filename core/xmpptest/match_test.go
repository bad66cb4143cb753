package xmpptest

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	const msg = "<message from='a@x' to='b@x' id='1' type='chat'><body>hi there</body><x xmlns='u' n='7'/></message>"
	for name, c := range map[string]struct {
		pattern, got, err string
	}{
		"equal":                  {msg, msg, ""},
		"order of children":      {"<message from='a@x' type='chat'><x xmlns='u' n='7'/><body>hi there</body></message>", msg, ""},
		"more children":          {"<message from='a@x' type='chat'><body>hi there</body>...</message>", msg, ""},
		"variable":               {"<message from='{who}' type='chat'><body>hi {what}</body><x xmlns='u' n='{*}'/></message>", msg, ""},
		"bound":                  {"<message from='{known}' type='chat'>...</message>", msg, ""},
		"bound to another":       {"<message from='{other}' type='chat'>...</message>", msg, "from of <message/>"},
		"absent attribute":       {"<message from='a@x' type='chat' x='{none}'>...</message>", msg, ""},
		"not absent":             {"<message from='a@x' type='{none}'>...</message>", msg, "has type='chat'"},
		"attribute not expected": {"<message from='a@x'>...</message>", msg, "type='chat', which is not expected"},
		"missing attribute":      {"<message from='a@x' type='chat' x='1'>...</message>", msg, "no attribute x"},
		"child not expected":     {"<message from='a@x' type='chat'><body>hi there</body></message>", msg, "which is not expected"},
		"missing child":          {"<message from='a@x' type='chat'><y xmlns='u'/>...</message>", msg, "is missing"},
		"other text":             {"<message from='a@x' type='chat'><body>ho</body>...</message>", msg, "the text of <body/>"},
		"other name":             {"<presence/>", msg, "is not <presence"},
		"other namespace":        {"<message xmlns='u'/>", msg, "is not <message"},
		"empty is not anything":  {"<message from='a@x' type='chat'/>", msg, "which is not expected"},
		"same variable twice":    {"<m xmlns='u' a='{v}' b='{v}'/>", "<m xmlns='u' a='1' b='2'/>", "b of <m/>"},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := parsePattern(c.pattern)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parsePattern(c.got)
			if err != nil {
				t.Fatal(err)
			}
			v := Vars{"known": "a@x", "other": "c@x"}
			err = v.match(want, got)
			switch {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, want one with %q", err, c.err)
			case err != nil && len(v) != 2:
				t.Errorf("what does not match has bound %v", v)
			case name == "variable" && (v["who"] != "a@x" || v["what"] != "there"):
				t.Errorf("bound %v", v)
			}
		})
	}
}

func TestFill(t *testing.T) {
	v := Vars{"a": "1", "b.c": "2"}
	if got, err := v.fill("x{a}y{b.c}{a}z"); err != nil || got != "x1y21z" {
		t.Errorf("%q, %v", got, err)
	}
	for _, s := range []string{"{d}", "{a", "{*}"} {
		if got, err := v.fill(s); err == nil {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func TestParseScript(t *testing.T) {
	const head = "# RFC 6121 §1: x\n"
	cites, steps, err := parseScript(head + "\nwith a=b\nalice comes online with sm\nalice sends:\n\t<a>\n\t</a>\nbob receives nothing\nserver restarts\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []step{
		{3, "", "with", "a=b"}, {4, "alice", "online-sm", ""}, {5, "alice", "send", "\n<a>\n</a>"}, {8, "bob", "nothing", ""},
		{9, "", "server restarts", ""},
	}
	if cites != "RFC 6121 §1: x" || len(steps) != len(want) {
		t.Fatalf("%q, %v", cites, steps)
	}
	for i := range want {
		if steps[i] != want[i] {
			t.Errorf("step %d: %v, want %v", i, steps[i], want[i])
		}
	}
	for name, s := range map[string]string{
		"no section":    "# nothing\nalice connects\n",
		"no comment":    "alice connects\n",
		"no step":       head + "alice dances\n",
		"no arg":        head + "alice receives nothing at all\n",
		"belongs to no": head + "\t<a/>\n",
	} {
		if _, _, err := parseScript(s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
