package plugintest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func operationParts() []part {
	return []part{
		{"send", send},
		{"send long", sendLong},
		{"send in order", sendInOrder},
		{"echo", echo},
		{"edit", edit},
		{"retract", retract},
		{"react", react},
		{"reply", reply},
		{"room", room},
		{"ghosts", ghosts},
		{"profile", profile},
		{"moderate", moderate},
		{"signals", signals},
	}
}

// find is the message with an id as people see it.
func (r *rig) find(t testing.TB, room sdk.RemoteRoomID, id sdk.RemoteMessageID) Seen {
	t.Helper()
	for _, s := range r.net.Seen(t, room) {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("nobody sees message %s", id)
	return Seen{}
}

func send(t *testing.T, r *rig) {
	d := r.do(t, r.message("hello from XMPP"))
	if len(d.Parts) != 1 || d.Parts[0].ID != "" || d.Parts[0].Remote == "" || d.Parts[0].Time.IsZero() {
		t.Fatalf("%+v", d)
	}
	got := r.find(t, r.room, d.Parts[0].Remote)
	if got.Text != "hello from XMPP" || got.Emote {
		t.Fatalf("%+v", got)
	}
	if r.caps().Personas == sdk.LevelFull && got.Author != "Romeo" {
		t.Fatalf("shown as %q", got.Author)
	}
	op := r.message("waves")
	op.Content.Kind = sdk.KindEmote
	if got := r.find(t, r.room, r.do(t, op).Parts[0].Remote); !strings.Contains(got.Text, "waves") {
		t.Fatalf("%+v", got)
	}
	op = r.message("")
	op.Content.Body = richtext.Doc(richtext.Para(richtext.Text("some "), richtext.Bold(richtext.Text("bold")), richtext.Text(" words")))
	if got := r.find(t, r.room, r.do(t, op).Parts[0].Remote); !strings.Contains(got.Text, "bold") {
		t.Fatalf("%+v", got)
	}
}

// sendLong: a text over the limit becomes several messages, none of it is lost,
// and taking it back takes back all.
func sendLong(t *testing.T, r *rig) {
	limit := r.caps().Text.MaxLength
	if limit == 0 {
		t.Skip("there is no limit")
	}
	var words []string
	for size := 0; size < limit*5/2; size += len(words[len(words)-1]) + 1 {
		words = append(words, fmt.Sprintf("word%d", len(words)))
	}
	d := r.do(t, r.message(strings.Join(words, " ")))
	if len(d.Parts) < 2 {
		t.Fatalf("%d parts", len(d.Parts))
	}
	var got []string
	ids := map[sdk.PartID]bool{}
	for _, p := range d.Parts {
		if ids[p.ID] {
			t.Fatalf("two parts are called %q", p.ID)
		}
		ids[p.ID] = true
		got = append(got, strings.Fields(r.find(t, r.room, p.Remote).Text)...)
	}
	if !slices.Equal(got, words) {
		t.Fatalf("%d words of %d", len(got), len(words))
	}
	if !r.remote().Can(sdk.AbilityRetract) {
		return
	}
	r.do(t, &sdk.RetractMessage{OpHeader: r.head(), Target: sdk.MessageRef{ID: d.Parts[0].Remote, Parts: d.Parts}})
	for _, s := range r.net.Seen(t, r.room) {
		if slices.ContainsFunc(d.Parts, func(p sdk.Part) bool { return p.Remote == s.ID }) && !s.Deleted {
			t.Fatalf("%+v", s)
		}
	}
}

// sendInOrder submits many operations to two rooms without waiting.
func sendInOrder(t *testing.T, r *rig) {
	const count = 100
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for i := 1; i <= count; i++ {
		for _, room := range []sdk.RemoteRoomID{r.room, r.two} {
			op := r.message(fmt.Sprintf("%s %d", room, i))
			op.Portal.Room = room
			wait.Add(1)
			err := r.remote().Submit(t.Context(), op, func(_ sdk.Delivered, err error) {
				defer wait.Done()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = err
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	wait.Wait()
	if failed != nil {
		t.Fatal(failed)
	}
	for _, room := range []sdk.RemoteRoomID{r.room, r.two} {
		if got := r.said(t, room); !slices.Equal(got, numbered(string(room), 1, count)) {
			t.Fatalf("people saw %q", got)
		}
	}
}

// said are the texts people see in a room that came from us.
func (r *rig) said(t testing.TB, room sdk.RemoteRoomID) []string {
	var out []string
	for _, s := range r.net.Seen(t, room) {
		if s.Author == "Romeo" && !s.Deleted {
			out = append(out, s.Text)
		}
	}
	return out
}

// echo: what comes back of our own is known as such.
func echo(t *testing.T, r *rig) {
	op := r.message("an echo")
	d := r.do(t, op)
	r.net.Say(t, r.room, "after it") // by then an echo would have come
	r.arrived(t, r.room, []string{"after it"})
	for _, e := range r.host.Events() {
		m, ok := e.(*sdk.Message)
		if ok && m.Message == d.Parts[0].Remote && m.Origin != op.ID && !m.Own {
			t.Fatalf("an echo looks like news: %+v", m)
		}
	}
}

func (r *rig) needs(t *testing.T, a sdk.Ability) {
	t.Helper()
	if !r.remote().Can(a) {
		t.Skip("not claimed: ", a)
	}
}

// sent sends a message and gives a reference to it, as the server has it.
func (r *rig) sent(t *testing.T, text string) (sdk.MessageRef, sdk.RemoteMessageID) {
	op := r.message(text)
	d := r.do(t, op)
	return sdk.MessageRef{ID: d.Parts[0].Remote, Parts: d.Parts, Author: sdk.Party{Person: op.Sender.Person}}, d.Parts[0].Remote
}

func edit(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityEdit)
	ref, id := r.sent(t, "a mistkae")
	r.do(t, &sdk.EditMessage{OpHeader: r.head(), Target: ref, Content: sdk.Content{Body: richtext.FromPlain("a mistake")}})
	if got := r.find(t, r.room, id); got.Text != "a mistake" || !got.Edited {
		t.Fatalf("%+v", got)
	}
	_, err := r.try(t, &sdk.EditMessage{OpHeader: r.head(), Target: sdk.MessageRef{ID: "no-such-message"}, Content: sdk.Content{Body: richtext.FromPlain("x")}})
	if !wrong(err) {
		t.Fatal("a message that is not there was edited: ", err)
	}
}

func retract(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityRetract)
	ref, id := r.sent(t, "unsaid")
	r.do(t, &sdk.RetractMessage{OpHeader: r.head(), Target: ref})
	if got := r.find(t, r.room, id); !got.Deleted {
		t.Fatalf("%+v", got)
	}
	// Once more, with another operation: it is gone, as was wanted.
	if _, err := r.try(t, &sdk.RetractMessage{OpHeader: r.head(), Target: ref}); err != nil && !wrong(err) {
		t.Fatal(err)
	}
}

func react(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityReact)
	id := r.net.Say(t, r.room, "react to this")
	ref := sdk.MessageRef{ID: id, Parts: []sdk.Part{{Remote: id}}}
	set := func(emoji, added, removed []string) {
		op := &sdk.SetReactions{OpHeader: r.head(), Target: ref}
		for _, list := range []struct {
			to   *[]sdk.Emoji
			from []string
		}{{&op.Emoji, emoji}, {&op.Added, added}, {&op.Removed, removed}} {
			for _, e := range list.from {
				*list.to = append(*list.to, sdk.Emoji{Text: e})
			}
		}
		r.do(t, op)
	}
	set([]string{"👍", "🎉"}, []string{"👍", "🎉"}, nil)
	if got := r.find(t, r.room, id).Reactions; got["👍"] != 1 || got["🎉"] != 1 {
		t.Fatal(got)
	}
	set([]string{"🎉", "❤️"}, []string{"❤️"}, []string{"👍"})
	if got := r.find(t, r.room, id).Reactions; got["👍"] != 0 || got["🎉"] != 1 || got["❤️"] != 1 {
		t.Fatal(got)
	}
	set(nil, nil, []string{"🎉", "❤️"})
	if got := r.find(t, r.room, id).Reactions; len(got) != 0 {
		t.Fatal(got)
	}
}

func reply(t *testing.T, r *rig) {
	if r.caps().Replies == sdk.LevelNone && r.caps().Threads == sdk.LevelNone {
		t.Skip("the network has neither replies nor threads")
	}
	id := r.net.Say(t, r.room, "answer this")
	ref := sdk.MessageRef{ID: id, Parts: []sdk.Part{{Remote: id}}, Author: sdk.Party{User: r.net.Person()}}
	op := r.message("an answer")
	op.Content.ReplyTo = &sdk.Reply{Target: ref, Author: "Person", Excerpt: "answer this"}
	if got := r.find(t, r.room, r.do(t, op).Parts[0].Remote); r.caps().Replies == sdk.LevelFull && got.ReplyTo != id {
		t.Fatalf("%+v", got)
	}
	op = r.message("in a thread")
	op.Content.Thread = &sdk.Thread{Root: ref}
	if got := r.find(t, r.room, r.do(t, op).Parts[0].Remote); r.caps().Threads == sdk.LevelFull && got.Thread != id {
		t.Fatalf("%+v", got)
	}
}

func room(t *testing.T, r *rig) {
	if r.remote().Can(sdk.AbilityTopic) {
		r.do(t, &sdk.SetTopic{OpHeader: r.head(), Topic: "set from XMPP"})
		if got := r.net.Room(t, r.room).Topic; got != "set from XMPP" {
			t.Fatal(got)
		}
	}
	if r.remote().Can(sdk.AbilityRoom) {
		name := "named from XMPP"
		r.do(t, &sdk.EditRoom{OpHeader: r.head(), Name: &name})
		if got := r.net.Room(t, r.room).Name; got != name {
			t.Fatal(got)
		}
	}
}

func (r *rig) present(t testing.TB, name string) bool {
	return slices.Contains(r.net.Room(t, r.room).Members, name)
}

func ghosts(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityGhosts)
	for range 2 { // twice is once
		r.do(t, &sdk.JoinGhost{OpHeader: r.head()})
		if !r.present(t, "Romeo") {
			t.Fatal("the ghost is not there")
		}
	}
	if got := r.net.Room(t, r.room).Members; slices.Index(got, "Romeo") != len(got)-1-slices.Index(reversed(got), "Romeo") {
		t.Fatal("the ghost is there twice")
	}
	for range 2 {
		r.do(t, &sdk.LeaveGhost{OpHeader: r.head(), Reason: "good bye"})
		if r.present(t, "Romeo") {
			t.Fatal("the ghost is still there")
		}
	}
}

func reversed(list []string) []string {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}

func profile(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityProfile)
	r.do(t, r.message("under the old name"))
	name, face := "Romeo Montague", r.host.AddFile("face.png", "image/png", []byte("\x89PNG not really"))
	h := r.head()
	h.Portal = sdk.PortalKey{}
	r.do(t, &sdk.ChangeProfile{OpHeader: h, Name: &name, Avatar: &face})
	op := r.message("under the new name")
	op.Sender.Name, op.Sender.Avatar = name, &face
	if got := r.find(t, r.room, r.do(t, op).Parts[0].Remote); got.Author != name {
		t.Fatalf("%+v", got)
	}
	h = r.head()
	h.Portal = sdk.PortalKey{}
	r.do(t, &sdk.ChangeProfile{OpHeader: h, Gone: true})
	if r.present(t, name) {
		t.Fatal("who is gone is still in the room")
	}
}

func moderate(t *testing.T, r *rig) {
	if r.remote().Can(sdk.AbilityInvite) {
		r.do(t, &sdk.InviteUser{OpHeader: r.head(), User: r.net.Person()})
	}
	r.needs(t, sdk.AbilityModerate)
	for _, step := range []struct {
		level  sdk.Level
		action sdk.ModerateAction
	}{{r.caps().Kick, sdk.ModerateKick}, {r.caps().Ban, sdk.ModerateBan}, {r.caps().Ban, sdk.ModerateUnban}, {r.caps().Roles, sdk.ModerateRole}} {
		_, err := r.try(t, &sdk.Moderate{OpHeader: r.head(), User: r.net.Person(), Action: step.action, Role: sdk.RoleMember, Reason: "a test"})
		if step.level > sdk.LevelNone && err != nil || step.level == sdk.LevelNone && !wrong(err) {
			t.Fatalf("action %d with level %d: %v", step.action, step.level, err)
		}
	}
	if _, err := r.try(t, &sdk.Moderate{OpHeader: r.head(), User: "nobody-of-this-name", Action: sdk.ModerateKick}); !wrong(err) {
		t.Fatal(err)
	}
}

func signals(t *testing.T, r *rig) {
	r.do(t, r.message("I am here"))
	s := person()
	who := sdk.Party{Person: s.Person}
	r.remote().Signal(&sdk.Typing{Portal: sdk.PortalKey{Room: r.room}, Who: who, Sender: &s, Active: true})
	if r.caps().Typing.Out > sdk.LevelNone {
		r.watch(t, "typing", func() bool { return slices.Contains(r.net.Room(t, r.room).Typing, "Romeo") })
	}
	// Signals of every sort, known or not, never get in the way of operations.
	r.remote().Signal(&sdk.Presence{Who: who, Sender: &s, Show: sdk.ShowAway, Status: "out"})
	r.remote().Signal(&sdk.ReadState{Portal: sdk.PortalKey{Room: r.room}, Who: who, Sender: &s, UpTo: sdk.MessageRef{ID: "no-such-message"}})
	r.remote().Signal(&sdk.Typing{Who: sdk.Party{Person: "nobody"}})
	r.do(t, r.message("and still here"))
}

// submitAll submits operations without waiting and gives their results in order.
func (r *rig) submitAll(ctx context.Context, ops []*sdk.SendMessage) []chan error {
	out := make([]chan error, len(ops))
	for i, op := range ops {
		out[i] = make(chan error, 1)
		if err := r.remote().Submit(ctx, op, func(_ sdk.Delivered, err error) { out[i] <- err }); err != nil {
			out[i] <- err
		}
	}
	return out
}
