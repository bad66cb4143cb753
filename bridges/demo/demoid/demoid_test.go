package demoid

import "testing"

func TestIDs(t *testing.T) {
	for person, want := range map[string]string{"k7q2": "x-k7q2", "A-b": "x-A-b"} {
		if got := Guest(person); got != want {
			t.Errorf("%q", got)
		}
		if back, ok := Person(Guest(person)); !ok || back != person {
			t.Errorf("%q", back)
		}
	}
	for _, user := range []string{"mira", "x-", "", "X-k"} {
		if p, ok := Person(user); ok {
			t.Errorf("%q is the guest %q", user, p)
		}
	}
	if got := Op(OwnKey("ev.7")); got != "" {
		t.Errorf("a call of the bridge itself is of operation %q: its answer would be taken for an echo", got)
	}
	for key, n := range map[string]int{"01JOP": 0, "01JOP/1": 1, "01JOP/17": 17} {
		if got := Key("01JOP", n); got != key || Op(got) != "01JOP" {
			t.Errorf("%q", got)
		}
	}
	if Key("", 3) != "" {
		t.Error("no operation has no key")
	}
	for _, tc := range []struct {
		room, user string
		want       bool
	}{
		{"dm-mira-zoe", "zoe", true}, {"dm-mira-zoe", "mira", true}, {"dm-mira-zoe", "mi", false}, {"dm-mira-zoe", "oe", false},
		{"lobby", "lobby", false}, {"dm-mira-zoe", "", false}, {"dm-mira-x-a-b", "x-a-b", true},
	} {
		if got := DirectOf(tc.room, tc.user); got != tc.want {
			t.Errorf("%+v", tc)
		}
	}
}
