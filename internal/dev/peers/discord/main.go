// Command discord is the Discord of the interoperability checks: the fake of bridges/discord/discordtest, because none can be installed, and on it a person
// who acts and hears through discordgo, the library that others wrote.
//
// It prints NAME=VALUE lines when it is ready (API_URL, CDN_URL, BOT_TOKEN, GUILD, CHANNEL, CONTROL) and serves until it is told to end. At CONTROL it takes
// POST requests with JSON, one per thing that the person does: /say /reply /edit /delete /react /unreact /file /topic, and faults: /cut /down /up. GET
// /heard gives all that she heard, in order, and GET /refused how many requests were answered 429.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordtest"
)

// heard is one thing that the person was told by the gateway.
type heard struct {
	What     string   `json:"what"` // message, edit, delete, react, unreact, topic
	ID       string   `json:"id,omitempty"`
	Author   string   `json:"author,omitempty"` // the name that is shown
	Text     string   `json:"text,omitempty"`
	Reply    string   `json:"reply,omitempty"` // id of what it answers
	Emoji    string   `json:"emoji,omitempty"`
	Files    []string `json:"files,omitempty"` // their content
	Called   []string `json:"called,omitempty"`
	Everyone bool     `json:"everyone,omitempty"`
	Mine     bool     `json:"mine,omitempty"`
}

// person is a member of the guild, through discordgo.
type person struct {
	fake    *discordtest.Server
	session *discordgo.Session
	channel string

	mu   sync.Mutex
	list []heard
}

func main() {
	small := flag.Bool("small", false, "small rate limits, so that a short run meets them")
	whole := flag.Bool("real", false, "rate limits as the platform's")
	flag.Parse()
	if err := run(limits(*small, *whole)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// limits are those of the platform as they were observed, or some that are reached in a short run.
func limits(small, whole bool) map[string]discordtest.Limit {
	switch {
	case whole:
		return map[string]discordtest.Limit{"webhook": {Count: 5, Per: 2 * time.Second}, "webhook-channel": {Count: 30, Per: time.Minute},
			"messages": {Count: 5, Per: 5 * time.Second}, "reactions": {Count: 1, Per: 250 * time.Millisecond}, "global": {Count: 50, Per: time.Second}}
	case small:
		return map[string]discordtest.Limit{"webhook": {Count: 5, Per: 2 * time.Second}, "webhook-channel": {Count: 10, Per: 5 * time.Second},
			"messages":  {Count: 5, Per: 2 * time.Second},
			"reactions": {Count: 1, Per: 250 * time.Millisecond}}
	}
	return nil
}

func run(rates map[string]discordtest.Limit) error {
	fake := discordtest.New(discordtest.Options{Limits: rates})
	defer fake.Close()
	owner := fake.AddUser("owner", "Owner")
	guild := fake.AddGuild("Garden", owner)
	channel := fake.AddChannel(guild, "general")
	bridge, dana := fake.AddBot("bridge"), fake.AddBot("dana")
	for _, app := range []discordtest.App{bridge, dana} {
		fake.Join(guild, app.User.ID)
	}
	fake.Permit(guild, bridge.User.ID, discordtest.PermAdministrator)
	fake.Permit(guild, dana.User.ID, discordtest.PermDefault|discordtest.PermManageChannel|discordtest.PermEveryone)
	fake.SetGlobalName(dana.User.ID, "Dana")

	p := &person{fake: fake, channel: channel}
	if err := p.connect(dana.Token); err != nil {
		return err
	}
	defer func() { _ = p.session.Close() }() // the process ends
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control := &http.Server{Handler: p.control(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- control.Serve(listener) }()
	for _, line := range [][2]string{{"API_URL", fake.URL + "/api/v10"}, {"CDN_URL", fake.URL + "/cdn"}, {"BOT_TOKEN", bridge.Token}, {"GUILD", guild}, {"CHANNEL", channel},
		{"CONTROL", "http://" + listener.Addr().String()}} {
		fmt.Println(line[0] + "=" + line[1])
	}
	fmt.Println("READY=1")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	select {
	case <-stop:
	case err := <-ended:
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return control.Shutdown(ctx)
}

// connect opens the person's session. Its handlers run one after the other, in the order of the events.
func (p *person) connect(token string) error {
	s, err := discordgo.New("Bot " + token)
	if err != nil {
		return err
	}
	s.Client = &http.Client{Transport: p.fake.Transport(), Timeout: 30 * time.Second}
	s.SyncEvents = true
	s.Identify.Intents = discordgo.IntentsGuilds | discordgo.IntentsGuildMessages | discordgo.IntentsGuildMessageReactions | discordgo.IntentMessageContent
	s.AddHandler(func(_ *discordgo.Session, e *discordgo.MessageCreate) { p.message("message", e.Message) })
	s.AddHandler(func(_ *discordgo.Session, e *discordgo.MessageUpdate) { p.message("edit", e.Message) })
	s.AddHandler(func(_ *discordgo.Session, e *discordgo.MessageDelete) { p.add(heard{What: "delete", ID: e.ID}) })
	s.AddHandler(func(_ *discordgo.Session, e *discordgo.MessageReactionAdd) {
		p.add(heard{What: "react", ID: e.MessageID, Emoji: e.Emoji.Name, Mine: e.UserID == s.State.User.ID})
	})
	s.AddHandler(func(_ *discordgo.Session, e *discordgo.MessageReactionRemove) {
		p.add(heard{What: "unreact", ID: e.MessageID, Emoji: e.Emoji.Name, Mine: e.UserID == s.State.User.ID})
	})
	s.AddHandler(func(_ *discordgo.Session, e *discordgo.ChannelUpdate) { p.add(heard{What: "topic", Text: e.Topic}) })
	p.session = s
	return s.Open()
}

func (p *person) add(h heard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, h)
}

func (p *person) message(what string, m *discordgo.Message) {
	if m.Author == nil {
		return
	}
	h := heard{What: what, ID: m.ID, Text: m.Content, Everyone: m.MentionEveryone, Mine: m.Author.ID == p.session.State.User.ID, Author: m.Author.Username}
	if m.Author.GlobalName != "" {
		h.Author = m.Author.GlobalName
	}
	if m.ChannelID != p.channel { // a thread has the id of the message that it begins with
		h.Reply = m.ChannelID
	}
	if m.MessageReference != nil {
		h.Reply = m.MessageReference.MessageID
	}
	for _, u := range m.Mentions {
		h.Called = append(h.Called, u.ID)
	}
	for _, a := range m.Attachments {
		h.Files = append(h.Files, p.fetch(a.URL))
	}
	p.add(h)
}

// fetch is the content of an attachment, or why there is none.
func (p *person) fetch(address string) string {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return err.Error()
	}
	res, err := p.session.Client.Do(r) // which has a timeout
	if err != nil {
		return err.Error()
	}
	defer func() { _ = res.Body.Close() }() // read only
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Sprint(res.Status, err)
	}
	return string(b)
}

// order is what a control request asks for.
type order struct {
	ID, Text, Emoji, Name, Data string
}

func (p *person) control() http.Handler {
	mux := http.NewServeMux()
	s := p.session
	does := map[string]func(o order) (string, error){
		"say": func(o order) (string, error) { return idOf(s.ChannelMessageSend(p.channel, o.Text)) },
		"reply": func(o order) (string, error) {
			return idOf(s.ChannelMessageSendReply(p.channel, o.Text, &discordgo.MessageReference{MessageID: o.ID, ChannelID: p.channel}))
		},
		"edit":    func(o order) (string, error) { return idOf(s.ChannelMessageEdit(p.channel, o.ID, o.Text)) },
		"delete":  func(o order) (string, error) { return "", s.ChannelMessageDelete(p.channel, o.ID) },
		"react":   func(o order) (string, error) { return "", s.MessageReactionAdd(p.channel, o.ID, o.Emoji) },
		"unreact": func(o order) (string, error) { return "", s.MessageReactionRemove(p.channel, o.ID, o.Emoji, "@me") },
		"file": func(o order) (string, error) {
			return idOf(s.ChannelFileSendWithMessage(p.channel, o.Text, o.Name, bytes.NewReader([]byte(o.Data))))
		},
		"topic": func(o order) (string, error) {
			_, err := s.ChannelEdit(p.channel, &discordgo.ChannelEdit{Topic: o.Text})
			return "", err
		},
		"cut": func(order) (string, error) { p.fake.Cut(); return "", nil },
		"down": func(order) (string, error) {
			p.fake.Fail(discordtest.Fault{Times: -1, Status: http.StatusServiceUnavailable})
			p.fake.Cut()
			return "", nil
		},
		"up": func(order) (string, error) { p.fake.Heal(); return "", nil },
	}
	for name, do := range does {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			var o order
			if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			id, err := do(o)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			answer(w, map[string]string{"id": id})
		})
	}
	mux.HandleFunc("GET /heard", func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.FormValue("from"))
		p.mu.Lock()
		list := append([]heard{}, p.list[min(max(from, 0), len(p.list)):]...)
		p.mu.Unlock()
		answer(w, list)
	})
	mux.HandleFunc("GET /refused", func(w http.ResponseWriter, _ *http.Request) {
		count := 0
		for _, c := range p.fake.Calls() {
			if c.Status == http.StatusTooManyRequests {
				count++
			}
		}
		answer(w, count)
	})
	return mux
}

func idOf(m *discordgo.Message, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return m.ID, nil
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who is gone needs no answer
}
