package muc

import (
	"bytes"
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

var update = flag.Bool("update", false, "write what clients receive into the transcripts")

// TestTranscripts plays the scripts of testdata/transcripts. A script is read by people: it cites the section, says what each client sends and what
// each then receives. Lines:
//
//	client NAME JID            somebody who takes part
//	NAME sends: <stanza>       continued on indented lines
//	NAME receives: <stanza>    everything that the last step leads to, in order for each receiver
//	NAME closes                her session ends without a word
//	NAME asks: JID [NODE]      disco#info, answered by what she "learns:"
//	after DURATION             the clock goes on
//	restart [NAME…]            the server stops and starts, and keeps the sessions that are named
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.scs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".scs"), func(t *testing.T) { playFile(t, f) })
	}
}

func playFile(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{w: newWorld(t, Options{}), clients: map[string]string{}}
	got := s.play(t, string(text))
	if logs := s.w.logs.String(); logs != "" {
		t.Errorf("the server has complained:\n%s", logs)
	}
	if bytes.Equal(text, []byte(got)) {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // a test's own file
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s: what is received differs (-update writes it)\n%s", file, diff(string(text), got))
}

// diff shows the lines that are on one side only, in order.
func diff(want, got string) string {
	var b strings.Builder
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, l := range w {
		if !slices.Contains(g, l) {
			b.WriteString("- " + l + "\n")
		}
	}
	for _, l := range g {
		if !slices.Contains(w, l) {
			b.WriteString("+ " + l + "\n")
		}
	}
	if b.Len() == 0 {
		return "the order differs:\n" + got
	}
	return b.String()
}

// keptSession is as much of a session as is asked of one that is kept.
type keptSession struct{ full jid.JID }

func (k keptSession) Info() event.SessionInfo        { return event.SessionInfo{JID: k.full} }
func (keptSession) Queue() journal.Poster            { return journal.NewQueue(nil) }
func (keptSession) Send(*stanza.Stanza)              {}
func (keptSession) SendNonza(*xmlstream.Node)        {}
func (keptSession) SetFlag(event.Flag, bool)         {}
func (keptSession) SetPresence(*stanza.Stanza, int8) {}
func (keptSession) Value(any) any                    { return nil }
func (keptSession) SetValue(any, any)                {}
func (keptSession) Close(string, string)             {}

type script struct {
	w       *world
	clients map[string]string // name -> full JID
	out     strings.Builder
}

// play runs a script and returns it with what was really received.
func (s *script) play(t *testing.T, text string) string {
	t.Helper()
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if f := strings.Fields(line); len(f) > 1 && s.clients[f[0]] != "" && (f[1] == "receives:" || f[1] == "learns:") {
			continue
		}
		s.out.WriteString(line + "\n")
		step := line
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "  ") {
			i++
			s.out.WriteString(lines[i] + "\n")
			step += strings.TrimSpace(lines[i])
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s.step(t, step)
		s.w.sync()
		s.received()
	}
	return s.out.String()
}

func (s *script) step(t *testing.T, line string) {
	t.Helper()
	word := strings.Fields(line)
	who := s.clients[word[0]]
	switch {
	case word[0] == "client":
		s.clients[word[1]] = word[2]
		j := jid.MustParse(word[2])
		if j.Domain() == "example.org" {
			s.w.addAccount(j.Bare().String())
		}
	case word[0] == "restart":
		s.restart(t, word[1:])
	case word[0] == "after":
		d, err := time.ParseDuration(word[1])
		if err != nil {
			t.Fatal(err)
		}
		s.w.clock.advance(d)
	case who == "":
		t.Fatalf("not understood: %s", line)
	case word[1] == "sends:":
		_, xml, _ := strings.Cut(line, "sends:")
		s.w.send(who, strings.TrimSpace(xml))
	case word[1] == "closes":
		full := jid.MustParse(who)
		_ = s.w.ev.C2S.Closed.Fire(context.Background(), &event.SessionClosed{Info: event.SessionInfo{JID: full}})
	case word[1] == "asks:":
		s.ask(t, word[0], word[2:])
	default:
		t.Fatalf("not understood: %s", line)
	}
}

// restart stops and starts the server; the sessions of the names are kept.
func (s *script) restart(t *testing.T, names []string) {
	t.Helper()
	parts := map[string]map[string][]byte{}
	for _, name := range names {
		full := s.clients[name]
		v := &event.SessionState{Session: keptSession{jid.MustParse(full)}, Parts: map[string][]byte{}}
		if err := s.w.ev.C2S.Saving.Fire(context.Background(), v); err != nil {
			t.Fatal(err)
		}
		parts[full] = v.Parts
	}
	s.w.stop()
	s.w.start()
	for full, p := range parts {
		_ = s.w.ev.C2S.Restored.Fire(context.Background(), &event.SessionState{Session: keptSession{jid.MustParse(full)}, Parts: p})
	}
}

func (s *script) ask(t *testing.T, name string, args []string) {
	t.Helper()
	node := ""
	if len(args) > 1 {
		node = args[1]
	}
	info, ok, err := discoSource{s.w.m}.DiscoInfo(context.Background(), jid.MustParse(s.clients[name]), jid.MustParse(args[0]), node)
	s.out.WriteString(strings.TrimSpace(name+" learns: "+infoLine(info, ok, err)) + "\n")
}

func infoLine(info module.DiscoInfo, ok bool, err error) string {
	if err != nil {
		return err.Error()
	}
	if !ok {
		return "not known"
	}
	var parts []string
	for _, id := range info.Identities {
		parts = append(parts, "identity "+id.Category+"/"+id.Type+" "+id.Name)
	}
	parts = append(parts, info.Features...)
	for _, f := range info.Forms {
		parts = append(parts, f.String())
	}
	return strings.Join(parts, " | ")
}

// received writes what everybody has got since the last step: receivers in the order of their names, stanzas in the order of their arrival.
func (s *script) received() {
	names := slices.Sorted(maps.Keys(s.clients))
	seen := map[string]bool{}
	for _, n := range names {
		for _, j := range []string{s.clients[n], jid.MustParse(s.clients[n]).Bare().String()} {
			if seen[j] {
				continue
			}
			seen[j] = true
			for _, st := range s.w.take(j) {
				to := st.To
				st = st.Copy()
				st.To = jid.JID{}
				mark := ""
				if to.IsBare() {
					mark = "(her account) "
				}
				s.out.WriteString(n + " receives: " + mark + st.String() + "\n")
			}
		}
	}
}
