package caps

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// asked is a question that the module has put.
type asked struct {
	to    jid.JID
	node  string
	reply func(*stanza.Stanza)
}

// oracle keeps questions until the test answers them.
type oracle struct {
	module.Router
	list []asked
}

func (o *oracle) Request(_ context.Context, iq *stanza.Stanza, _ time.Duration, _ journal.Poster, reply func(*stanza.Stanza)) {
	q, _ := iq.Query()
	o.list = append(o.list, asked{iq.To, q.Attr("node"), reply})
}

// next takes the oldest question.
func (o *oracle) next(t *testing.T) asked {
	t.Helper()
	if len(o.list) == 0 {
		t.Fatal("nobody was asked")
	}
	a := o.list[0]
	o.list = o.list[1:]
	return a
}

func answer(features ...string) *stanza.Stanza {
	q := xmlstream.NewNode(ns.DiscoInfo, "query").Add(xmlstream.NewNode(ns.DiscoInfo, "identity", "category", "client", "type", "pc"))
	for _, f := range features {
		q.Add(xmlstream.NewNode(ns.DiscoInfo, "feature", "var", f))
	}
	return stanza.NewIQ(stanza.TypeResult, "", q)
}

func hashes(features ...string) hash.Caps {
	return hash.Caps{Identities: []hash.Identity{{Category: "client", Type: "pc"}}, Features: features}
}

func presence(ver string) *stanza.Stanza {
	return stanza.NewPresence("", xmlstream.NewNode(ns.Caps, "c", "hash", "sha-1", "node", "u:client", "ver", ver))
}

type hosts struct{ module.Hosts }

func (hosts) IsLocal(d string) bool         { return d == "here.example" }
func (hosts) IsAccountDomain(d string) bool { return d == "here.example" }

func start(o Options) (*Module, *oracle) {
	m, r := New(o), &oracle{}
	m.d = module.Deps{Router: r, Hosts: hosts{}}
	return m, r
}

// TestRow30Poisoning: what somebody says of a hash that her answer does not have counts for herself alone, whatever she tries.
func TestRow30Poisoning(t *testing.T) {
	ctx := context.Background()
	mallory, bob := jid.MustParse("mallory@here.example/m"), jid.MustParse("bob@here.example/b")
	honest := hashes("a", "b")
	for name, forged := range map[string]*stanza.Stanza{
		"other features":   answer("evil"),
		"fewer features":   answer("a"),
		"joined features":  answer("a<b"), // the same input to the hash (XEP-0115 §7.1)
		"a feature twice":  answer("a", "b", "b"),
		"an error":         {Kind: stanza.IQ, Type: stanza.TypeError},
		"no answer at all": stanza.NewIQ(stanza.TypeResult, ""),
	} {
		t.Run(name, func(t *testing.T) {
			m, r := start(Options{})
			m.learn(ctx, presence(honest.Ver()), mallory, jid.JID{}, false)
			m.learn(ctx, presence(honest.Ver()), bob, jid.JID{}, false)
			q := r.next(t)
			if q.to != mallory || len(r.list) != 0 {
				t.Fatalf("asked %s and %d more", q.to, len(r.list))
			}
			q.reply(forged)
			for _, f := range []string{"evil", "a", "b", "a<b"} {
				if m.Supports(ctx, bob, f) {
					t.Errorf("bob has %q by what mallory said", f)
				}
			}
			if q = r.next(t); q.to != bob {
				t.Fatalf("then asked %s", q.to)
			}
			q.reply(answer("b", "a"))
			if !m.Supports(ctx, bob, "a") || !m.Supports(ctx, bob, "b") {
				t.Error("bob's own answer does not count")
			}
			// Known now: nobody else is asked.
			carol := jid.MustParse("carol@here.example/c")
			m.learn(ctx, presence(honest.Ver()), carol, jid.JID{}, false)
			if !m.Supports(ctx, carol, "a") || len(r.list) != 0 {
				t.Error("a verified hash does not stand for others")
			}
		})
	}
}

// TestKeysStayApart: a hash of one protocol or algorithm never stands for one of another.
func TestKeysStayApart(t *testing.T) {
	c := hashes("a")
	v1, _ := c.VerOf("sha-256")
	v2, _ := c.Hash2("sha-256")
	for _, k := range []struct {
		key  key
		want bool
	}{
		{key{proto: legacy, algo: "sha-256", sum: v1}, true},
		{key{proto: second, algo: "sha-256", sum: v2}, true},
		{key{proto: second, algo: "sha-256", sum: v1}, false},
		{key{proto: legacy, algo: "sha-256", sum: v2}, false},
		{key{proto: legacy, algo: "sha-1", sum: v1}, false},
		{key{proto: legacy, algo: "nonsense", sum: v1}, false},
		{key{proto: unverifiable, sum: v1}, false},
	} {
		if got := k.key.verify(c); got != k.want {
			t.Errorf("%+v: %t", k.key, got)
		}
	}
}

// TestBounds: what strangers of other servers announce takes a bounded room.
func TestBounds(t *testing.T) {
	ctx := context.Background()
	m, r := start(Options{MaxRemote: 10, MaxHashes: 5, MaxWaiting: 3})
	account := jid.MustParse("alice@here.example")
	for i := range 100 {
		st := presence(hashes(fmt.Sprint(i)).Ver())
		st.From, st.To = jid.MustParse(fmt.Sprintf("p%d@far.example/x", i)), account
		if err := m.routed(ctx, &event.Routed{Stanza: st}); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 && len(r.list) > 0 {
			r.next(t).reply(answer(fmt.Sprint(i)))
		}
	}
	if len(m.entities) > 10 || m.remotes > 10 || len(m.remote) > 10 || len(m.hashes) > 5 || len(m.asking) > 3 {
		t.Errorf("%d entities, %d remotes, %d contacts, %d hashes, %d questions", len(m.entities), m.remotes, len(m.remote), len(m.hashes), len(m.asking))
	}
	for full := range m.entities {
		st := stanza.NewPresence(stanza.TypeUnavailable)
		st.From, st.To = full, account
		if err := m.routed(ctx, &event.Routed{Stanza: st}); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.entities) != 0 || m.remotes != 0 || len(m.remote) != 0 {
		t.Errorf("left: %d entities, %d remotes, %d contacts", len(m.entities), m.remotes, len(m.remote))
	}
}

// TestLargeAnswers: thousands of answers are kept, so none is that is larger than any client's.
func TestLargeAnswers(t *testing.T) {
	ctx := context.Background()
	many := func(n, size int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%0*d", size, i))
		}
		return out
	}
	for name, c := range map[string]struct {
		features []string
		want     bool
	}{
		"as clients":    {many(300, 40), true},
		"at the bounds": {many(maxFeatures, maxFeatureBytes/maxFeatures), true},
		"too many":      {many(maxFeatures+1, 4), false},
		"too long":      {many(9, 4<<10), false},
	} {
		t.Run(name, func(t *testing.T) {
			m, r := start(Options{})
			who := jid.MustParse("bob@here.example/b")
			m.learn(ctx, presence(hashes(c.features...).Ver()), who, jid.JID{}, false)
			r.next(t).reply(answer(c.features...))
			if got := m.Supports(ctx, who, c.features[0]); got != c.want || (len(m.hashes) == 1) != c.want {
				t.Errorf("known: %t, %d hashes", got, len(m.hashes))
			}
		})
	}
}

// TestGains: whoever watches is told of what is new, once for each account that a session elsewhere has sent its presence to.
func TestGains(t *testing.T) {
	ctx := context.Background()
	m, r := start(Options{})
	var told []string
	m.WatchCaps(func(_ context.Context, full, account jid.JID, gained func(string) bool) {
		s := full.String() + " to " + account.String() + ":"
		for _, f := range []string{"a", "b"} {
			if gained(f) {
				s += " " + f
			}
		}
		told = append(told, s)
	})
	full := jid.MustParse("romeo@far.example/x")
	from := func(ver string, account string) { m.learn(ctx, presence(ver), full, jid.MustParse(account), false) }
	one, two := hashes("a").Ver(), hashes("a", "b").Ver()
	from(one, "alice@here.example")
	from(one, "bob@here.example")
	r.next(t).reply(answer("a"))
	from(one, "bob@here.example") // nothing new
	from(two, "alice@here.example")
	r.next(t).reply(answer("a", "b"))
	from(two, "bob@here.example")
	want := []string{
		"romeo@far.example/x to alice@here.example: a", "romeo@far.example/x to bob@here.example: a",
		"romeo@far.example/x to alice@here.example: b", "romeo@far.example/x to bob@here.example: b",
	}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told\n%q\nwant\n%q", told, want)
	}
	if got := m.Remote(jid.MustParse("bob@here.example"), full.Bare()); len(got) != 1 || got[0] != full {
		t.Errorf("sessions: %v", got)
	}
	m.forgetRemote(full, jid.MustParse("bob@here.example"))
	if got := m.Remote(jid.MustParse("bob@here.example"), full.Bare()); len(got) != 0 {
		t.Errorf("sessions after it has gone: %v", got)
	}
}

// TestSilentHashes: an account that announces one made-up hash after the other and answers none stops nobody else's capabilities from being learnt,
// whether it is here or elsewhere; when its questions have run out it may be asked again.
func TestSilentHashes(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name string
		who  func(i int) jid.JID
		most int // questions that it gets
	}{
		{"one account here", func(int) jid.JID { return jid.MustParse("mallory@here.example/m") }, 8},
		{"its many sessions", func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("mallory@here.example/%d", i)) }, 8},
		{"accounts of another server", func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("m%d@far.example/x", i)) }, 25},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, r := start(Options{MaxWaiting: 100})
			for i := range 500 {
				m.learn(ctx, presence(fmt.Sprintf("made-up-%d", i)), c.who(i), jid.JID{}, false)
			}
			silent := r.list
			r.list = nil
			if len(silent) != c.most || len(m.asking) != c.most {
				t.Errorf("%d questions, %d under way", len(silent), len(m.asking))
			}
			for i := range 50 {
				bob := jid.MustParse(fmt.Sprintf("bob%d@here.example/b", i))
				m.learn(ctx, presence(hashes(fmt.Sprint(i)).Ver()), bob, jid.JID{}, false)
				r.next(t).reply(answer(fmt.Sprint(i)))
				if !m.Supports(ctx, bob, fmt.Sprint(i)) {
					t.Fatalf("what bob %d can do is not known", i)
				}
			}
			for _, q := range silent {
				q.reply(&stanza.Stanza{Kind: stanza.IQ, Type: stanza.TypeError})
			}
			if len(m.asking) != 0 || len(m.open) != 0 {
				t.Errorf("left: %d questions, %d peers", len(m.asking), len(m.open))
			}
			m.learn(ctx, presence(hashes("late").Ver()), c.who(0), jid.JID{}, false)
			r.next(t).reply(answer("late"))
			if !m.Supports(ctx, c.who(0), "late") {
				t.Error("who has answered none is never asked again")
			}
		})
	}
}

// TestOldestGivesWay: with a full table the oldest question gives way; its answer still counts for who gives it, and for all if it has the hash.
func TestOldestGivesWay(t *testing.T) {
	ctx := context.Background()
	m, r := start(Options{MaxWaiting: 3})
	who := func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("p%d@here.example/x", i)) }
	for i := range 4 {
		m.learn(ctx, presence(hashes(fmt.Sprint(i)).Ver()), who(i), jid.JID{}, false)
	}
	if len(m.asking) != 3 || len(r.list) != 4 {
		t.Fatalf("%d under way, %d asked", len(m.asking), len(r.list))
	}
	for i := range 4 {
		r.next(t).reply(answer(fmt.Sprint(i)))
		if !m.Supports(ctx, who(i), fmt.Sprint(i)) {
			t.Errorf("what %d can do is not known", i)
		}
	}
	if len(m.asking) != 0 || len(m.open) != 0 || len(m.hashes) != 4 {
		t.Errorf("left: %d questions, %d peers; %d hashes", len(m.asking), len(m.open), len(m.hashes))
	}
}

// TestOthersFirst: an account that announces a hash of others with many sessions and answers for none holds them up by one question.
func TestOthersFirst(t *testing.T) {
	ctx := context.Background()
	m, r := start(Options{})
	ver := hashes("a").Ver()
	for i := range 20 {
		m.learn(ctx, presence(ver), jid.MustParse(fmt.Sprintf("mallory@here.example/%d", i)), jid.JID{}, false)
	}
	bob := jid.MustParse("bob@here.example/b")
	m.learn(ctx, presence(ver), bob, jid.JID{}, false)
	r.next(t).reply(&stanza.Stanza{Kind: stanza.IQ, Type: stanza.TypeError})
	q := r.next(t)
	if q.to != bob {
		t.Fatalf("then asked %s", q.to)
	}
	q.reply(answer("a"))
	if !m.Supports(ctx, bob, "a") || len(r.list) != 0 {
		t.Error("bob's answer does not count")
	}
}
