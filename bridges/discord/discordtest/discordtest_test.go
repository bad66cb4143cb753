package discordtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		if code != 0 {
			fmt.Println("failed")
		}
	}))
}

const patience = 20 * time.Second

// scene is a guild with a bot and two people.
type scene struct {
	*Server
	guild, channel, ann, bob string
	app                      App
}

func newScene(t *testing.T, o Options) *scene {
	t.Helper()
	s := &scene{Server: New(o)}
	t.Cleanup(func() { s.Close(); http.DefaultTransport.(*http.Transport).CloseIdleConnections() })
	s.ann, s.bob = s.AddUser("ann", "Ann"), s.AddUser("bob", "")
	s.guild = s.AddGuild("Garden", s.ann)
	s.channel = s.AddChannel(s.guild, "general")
	s.Join(s.guild, s.bob)
	s.app = s.AddBot("bridge")
	s.Join(s.guild, s.app.User.ID)
	return s
}

// discordgo is a session of the library.
func (s *scene) discordgo(t *testing.T, intents discordgo.Intent) *discordgo.Session {
	t.Helper()
	d, err := discordgo.New("Bot " + s.app.Token)
	if err != nil {
		t.Fatal(err)
	}
	d.Client = &http.Client{Transport: s.Transport()}
	d.Identify.Intents = intents
	d.ShouldReconnectOnError, d.ShouldRetryOnRateLimit, d.MaxRestRetries = false, false, 0
	return d
}

// until waits for something that arrives at a channel.
func until[T any](t *testing.T, ch <-chan T, what string, ok func(T) bool) T {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case v := <-ch:
			if ok(v) {
				return v
			}
		case <-limit:
			t.Fatal("never came: ", what)
		}
	}
}

func code(err error) int {
	var e *discordgo.RESTError
	if errors.As(err, &e) && e.Message != nil {
		return e.Message.Code
	}
	return 0
}

// TestDiscordgo: a library of another author finds what it expects.
func TestDiscordgo(t *testing.T) {
	s := newScene(t, Options{})
	s.Permit(s.guild, s.app.User.ID, PermWebhooks|PermManageMessage|PermManageChannel)
	d := s.discordgo(t, discordgo.IntentsAll)
	messages := make(chan *discordgo.MessageCreate, 100)
	updates := make(chan *discordgo.MessageUpdate, 100)
	reactions := make(chan *discordgo.MessageReactionAdd, 100)
	guilds := make(chan *discordgo.GuildCreate, 10)
	d.AddHandler(func(_ *discordgo.Session, m *discordgo.MessageCreate) { messages <- m })
	d.AddHandler(func(_ *discordgo.Session, m *discordgo.MessageUpdate) { updates <- m })
	d.AddHandler(func(_ *discordgo.Session, m *discordgo.MessageReactionAdd) { reactions <- m })
	d.AddHandler(func(_ *discordgo.Session, m *discordgo.GuildCreate) { guilds <- m })
	if err := d.Open(); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	g := until(t, guilds, "the guild", func(g *discordgo.GuildCreate) bool { return !g.Unavailable })
	if g.Name != "Garden" || len(g.Channels) != 1 || len(g.Members) != 3 || g.Channels[0].Name != "general" {
		t.Errorf("%+v", g)
	}
	id := s.Say(s.channel, s.ann, "hello <@"+s.bob+">")
	got := until(t, messages, "the message", func(m *discordgo.MessageCreate) bool { return m.ID == id })
	if got.Content != "hello <@"+s.bob+">" || got.Author.Username != "ann" || len(got.Mentions) != 1 || got.GuildID != s.guild {
		t.Errorf("%+v", got.Message)
	}
	mine, err := d.ChannelMessageSendReply(s.channel, "answer", got.Reference())
	if err != nil || mine.MessageReference == nil || mine.ReferencedMessage == nil || mine.ReferencedMessage.ID != id {
		t.Fatalf("%+v %v", mine, err)
	}
	if _, err := d.ChannelMessageEdit(s.channel, mine.ID, "another"); err != nil {
		t.Fatal(err)
	}
	until(t, updates, "the edit", func(m *discordgo.MessageUpdate) bool {
		return m.ID == mine.ID && m.Content == "another" && m.EditedTimestamp != nil
	})
	if err := d.MessageReactionAdd(s.channel, id, "👍"); err != nil {
		t.Fatal(err)
	}
	until(t, reactions, "the reaction", func(r *discordgo.MessageReactionAdd) bool {
		return r.Emoji.Name == "👍" && r.UserID == s.app.User.ID
	})
	hook, err := d.WebhookCreate(s.channel, "bridge", "")
	if err != nil {
		t.Fatal(err)
	}
	said, err := d.WebhookExecute(hook.ID, hook.Token, true, &discordgo.WebhookParams{Content: "@everyone", Username: "Romeo", AllowedMentions: &discordgo.MessageAllowedMentions{}, Files: []*discordgo.File{{Name: "a.txt", ContentType: "text/plain", Reader: strings.NewReader("data")}}})
	if err != nil || said.WebhookID != hook.ID || said.Author.Username != "Romeo" || len(said.Attachments) != 1 || said.MentionEveryone {
		t.Fatalf("%+v %v", said, err)
	}
	resp, err := http.Get(said.Attachments[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(data) != "data" {
		t.Errorf("%q", data)
	}
	text := "edited @everyone"
	if _, err := d.WebhookMessageEdit(hook.ID, hook.Token, said.ID, &discordgo.WebhookEdit{Content: &text}); err != nil {
		t.Fatal(err)
	}
	if m := s.Messages(s.channel)[2]; !slices.Contains(m.Called, "everyone") {
		t.Error("an edit without allowed_mentions calls everybody: ", m.Called)
	}
	thread, err := d.MessageThreadStart(s.channel, id, "talk", 60)
	if err != nil || thread.ID != id {
		t.Fatalf("%+v %v", thread, err)
	}
	if _, err := d.WebhookThreadExecute(hook.ID, hook.Token, true, thread.ID, &discordgo.WebhookParams{Content: "inside"}); err != nil {
		t.Fatal(err)
	}
	list, err := d.ChannelMessages(s.channel, 2, "", id, "")
	if err != nil || len(list) != 2 || list[1].ID != mine.ID {
		t.Fatalf("%+v %v", list, err)
	}
	members, err := d.GuildMembers(s.guild, "", 2)
	if err != nil || len(members) != 2 || members[0].User.Username != "ann" {
		t.Fatalf("%+v %v", members, err)
	}
}

func TestRefusals(t *testing.T) {
	s := newScene(t, Options{MaxFile: 10})
	d := s.discordgo(t, 0)
	hidden := s.AddChannel(s.guild, "hidden")
	s.Overwrite(hidden, s.guild, 0, PermView)
	mute := s.AddChannel(s.guild, "mute")
	s.Overwrite(mute, s.guild, 0, PermSend)
	id := s.Say(s.channel, s.ann, "text")
	send := func(channel, text string) error { _, err := d.ChannelMessageSend(channel, text); return err }
	_, hook := d.WebhookCreate(s.channel, "x", "")
	_, members := d.GuildMember(s.guild, s.app.User.ID)
	s.Privileged(s.app.User.ID, 0)
	_, restricted := d.GuildMembers(s.guild, "", 10)
	empty, err := d.ChannelMessage(s.channel, id)
	if err != nil || empty.Content != "" {
		t.Errorf("without the intent: %+v %v", empty, err)
	}
	_, big := d.ChannelFileSend(s.channel, "a", strings.NewReader("01234567890"))
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"a hidden channel": {send(hidden, "x"), 50001}, "no channel": {send("1", "x"), 10003}, "mute": {send(mute, "x"), 50013},
		"too long": {send(s.channel, strings.Repeat("x", 2001)), 50035}, "empty": {send(s.channel, " "), 50006},
		"webhooks without the right": {hook, 50013}, "a member": {members, 0}, "members without the intent": {restricted, 50001},
		"somebody else's message": {d.ChannelMessageDelete(s.channel, id), 50013}, "no message": {d.ChannelMessageDelete(s.channel, "1"), 10008},
		"a big file": {big, 40005}, "no emoji": {d.MessageReactionAdd(s.channel, id, "word"), 10014},
	} {
		if code(test.err) != test.want {
			t.Errorf("%s: %v", name, test.err)
		}
	}
	d.Token = "Bot wrong"
	if err := send(s.channel, "x"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
	for range 21 {
		s.React(s.channel, id, s.bob, string(rune(0x1F600+len(s.Messages(s.channel)[0].Reactions))))
	}
	d.Token = "Bot " + s.app.Token
	if err := d.MessageReactionAdd(s.channel, id, "👍"); code(err) != 30010 {
		t.Error(err)
	}
}

func TestRateLimits(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newScene(t, Options{Now: func() time.Time { return now }, Limits: map[string]Limit{"messages": {2, time.Second}, "global": {6, time.Minute}}, InvalidLimit: 4})
	post := func(channel string) *http.Response {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v10/channels/"+channel+"/messages", strings.NewReader(`{"content":"x"}`))
		req.Header.Set("Authorization", "Bot "+s.app.Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	other := s.AddChannel(s.guild, "other")
	if r := post(s.channel); r.StatusCode != http.StatusOK || r.Header.Get("X-RateLimit-Remaining") != "1" || r.Header.Get("X-RateLimit-Reset-After") != "1.000" {
		t.Error(r.Status, r.Header)
	}
	post(s.channel)
	if r := post(s.channel); r.StatusCode != http.StatusTooManyRequests || r.Header.Get("X-RateLimit-Scope") != "user" || r.Header.Get("Retry-After") != "1" {
		t.Error(r.Status, r.Header)
	}
	if r := post(other); r.StatusCode != http.StatusOK {
		t.Error("another channel has another bucket: ", r.Status)
	}
	now = now.Add(time.Second)
	post(s.channel)
	post(other)
	if r := post(other); r.StatusCode != http.StatusTooManyRequests || r.Header.Get("X-RateLimit-Global") != "true" {
		t.Error(r.Status, r.Header)
	}
	post(other)
	post(other)
	if r := post(other); r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Server") != "cloudflare" {
		t.Error("no ban after too many: ", r.Status)
	}
	s.Heal()
	s.Fail(Fault{Path: "messages", Times: 1, Status: 502})
	if r := post(other); r.StatusCode != http.StatusBadGateway || r.Header.Get("Content-Type") != "text/html; charset=UTF-8" {
		t.Error(r.Status, r.Header)
	}
}

// raw is the gateway without a library.
func raw(t *testing.T, s *scene, query string) *rawConn {
	t.Helper()
	return dialRaw(t, s.gatewayURL()+query)
}

func TestGatewayRules(t *testing.T) {
	s := newScene(t, Options{Heartbeat: time.Hour})
	identify := func(token string, intents int) M {
		return M{"op": 2, "d": M{"token": token, "intents": intents, "properties": M{}}}
	}
	for name, test := range map[string]struct {
		first M
		want  int
	}{
		"a wrong token": {identify("x", 1), 4004}, "unknown intents": {identify(s.app.Token, 1<<30), 4013},
		"before identifying": {M{"op": 8, "d": M{}}, 4003},
	} {
		c := raw(t, s, "?v=10&encoding=json")
		c.send(test.first)
		if got := c.closed(); got != test.want {
			t.Errorf("%s: closed with %d", name, got)
		}
	}
	s.Privileged(s.app.User.ID, IntentMembers)
	c := raw(t, s, "?v=10&encoding=json")
	c.send(identify(s.app.Token, IntentMessages|IntentContent))
	if got := c.closed(); got != 4014 {
		t.Errorf("closed with %d", got)
	}
	if got := raw(t, s, "?v=6&encoding=json").closed(); got != 4012 {
		t.Errorf("closed with %d", got)
	}

	c = raw(t, s, "?v=10&encoding=json")
	c.send(identify(s.app.Token, IntentGuilds|IntentMessages))
	ready := c.await("READY")
	session := ready["session_id"]
	guild := c.await("GUILD_CREATE")
	if len(guild["members"].([]any)) != 1 {
		t.Error("members without the intent")
	}
	s.Say(s.channel, s.ann, "secret")
	if m := c.await("MESSAGE_CREATE"); m["content"] != "" {
		t.Errorf("content without the intent: %v", m["content"])
	}
	seq := c.seq
	s.Cut()
	c.closed()
	s.Say(s.channel, s.ann, "missed")
	c = raw(t, s, "?v=10&encoding=json")
	c.send(M{"op": 6, "d": M{"token": s.app.Token, "session_id": session, "seq": seq}})
	c.await("MESSAGE_CREATE")
	c.await("RESUMED")
	c.send(M{"op": 1, "d": seq})
	c.op(11)
	s.Reconnect()
	c.op(7)
	s.Invalidate()
	c = raw(t, s, "?v=10&encoding=json")
	c.send(M{"op": 6, "d": M{"token": s.app.Token, "session_id": session, "seq": seq}})
	c.op(9)
}

func TestSignedAddresses(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newScene(t, Options{Now: func() time.Time { return now }})
	s.Post(s.channel, s.ann, Draft{Files: []File{{Name: "a b.txt", Type: "text/plain", Data: []byte("x")}}})
	s.mu.Lock()
	address := s.signed(s.channel, s.messages[s.channel][0].Files[0])
	s.mu.Unlock()
	get := func(address string) int {
		t.Helper()
		resp, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := get(address); got != 200 {
		t.Error(got)
	}
	if got := get(strings.Replace(address, "hm=", "hm=0", 1)); got != 404 {
		t.Error("forged: ", got)
	}
	now = now.Add(25 * time.Hour)
	if got := get(address); got != 404 {
		t.Error("expired: ", got)
	}
	raw, _ := json.Marshal(s.Calls())
	if !bytes.Contains(raw, []byte("attachments")) {
		t.Error("nothing was recorded")
	}
}
