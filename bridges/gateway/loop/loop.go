// Package loop finds foreign bridges in a linked room: accounts that say again what was said there, because they carry one of its networks to another
// behind our back. It knows texts and accounts, nothing of networks, and holds what was said in the last minute only, of long texts a hash.
//
// A text that was there before is an echo, also behind the name of who said it: "<ann> hello", "[ann] hello", "ann: hello", and those nested. An
// account that echoes one text [Limit] times within [Window], without having been the first to say it, hears us: a person who agrees does so once, a
// bridge repeats its own words each time we carry them round. Short texts without a name before them ("+1", "ok") prove little, and count
// from [ShortLimit] on, unless the account is known to be a machine. So do the words that a machine was the first to say.
//
// It is not safe for concurrent use and starts no goroutines.
//
//	v := d.Hear(now, loop.Said{ID: id, Author: "fa@slack.example.org", Text: "<ann> hello"})
//	if v.Loop { quarantine() }
package loop

import (
	"container/list"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The rules.
const (
	Window     = time.Minute // what is older was not repeated but said again
	Limit      = 3           // echoes of one text by one account
	ShortLimit = 10          // the same, for short texts of people
	Short      = 8           // characters
	maxTexts   = 2000        // remembered at a time
	maxDepth   = 8           // names before a text
	maxName    = 80          // bytes of a name
	maxIDs     = 64          // repetitions of one text that are told apart
	maxAuthors = 256         // who echo one text
	maxKey     = 100         // bytes of a text; of a longer one the hash is kept
)

// Said is one message.
type Said struct {
	ID     string // the same for the same message, which may be told twice
	Author string // the account
	Text   string
	Bot    bool // the account is a machine's
}

// Verdict is what a message turned out to be.
type Verdict struct {
	Echo  bool
	Times int  // how often this account has echoed this text
	Loop  bool // that is too often
}

// text is one text with who said it.
type text struct {
	key    string
	first  string
	last   time.Time
	echoes map[string][]time.Time // the last ones of each account
	ids    map[string]Verdict
}

// Detector remembers texts.
type Detector struct {
	texts map[string]*list.Element
	order *list.List // of *text, the one said last at the back
}

// New returns a detector that has heard nothing.
func New() *Detector { return &Detector{texts: map[string]*list.Element{}, order: list.New()} }

// Forget drops everything: after a loop was mended.
func (d *Detector) Forget() { *d = *New() }

// Hear takes a message.
func (d *Detector) Hear(now time.Time, s Said) Verdict {
	d.expire(now)
	said := strings.TrimSpace(s.Text)
	if said == "" {
		return Verdict{}
	}
	t, named := d.find(said)
	if t == nil {
		d.add(&text{key: strings.Clone(keyOf(said)), first: s.Author, last: now, echoes: map[string][]time.Time{}, ids: map[string]Verdict{s.ID: {}}})
		return Verdict{}
	}
	if v, again := t.ids[s.ID]; again && s.ID != "" {
		return v
	}
	t.last = now
	d.order.MoveToBack(d.texts[t.key])
	v := Verdict{}
	own := !named && s.Author == t.first // she repeats herself, as people do; a machine may be hearing itself
	if !own || s.Bot {
		v = Verdict{Echo: true, Times: t.echo(now, s.Author)}
		limit := Limit
		if own || !named && !s.Bot && utf8.RuneCountInString(said) <= Short {
			limit = ShortLimit
		}
		v.Loop = v.Times >= limit
	}
	if len(t.ids) >= maxIDs { // a message is told twice within moments
		clear(t.ids)
	}
	t.ids[s.ID] = v
	return v
}

// echo counts one of an account and returns how many there were lately: a text that somebody says each minute is not forgotten, its old echoes are.
func (t *text) echo(now time.Time, author string) int {
	old := func(at time.Time) bool { return now.Sub(at) > Window }
	list := append(slices.DeleteFunc(t.echoes[author], old), now)
	if len(list) > ShortLimit {
		list = list[len(list)-ShortLimit:]
	}
	t.echoes[author] = list
	if len(t.echoes) > maxAuthors {
		maps.DeleteFunc(t.echoes, func(who string, l []time.Time) bool { return who != author && old(l[len(l)-1]) })
	}
	if len(t.echoes) > maxAuthors { // a crowd is no bridge
		t.echoes = map[string][]time.Time{author: list}
	}
	return len(list)
}

// keyOf is what a text is remembered by.
func keyOf(said string) string {
	if len(said) <= maxKey {
		return said
	}
	sum := sha256.Sum256([]byte(said))
	return "\x00" + string(sum[:]) // no text has that character
}

// find returns the text that a message repeats; named tells that names stood before it.
func (d *Detector) find(said string) (t *text, named bool) {
	for range maxDepth {
		if e := d.texts[keyOf(said)]; e != nil {
			return e.Value.(*text), named
		}
		rest, ok := strip(said)
		if !ok {
			return nil, false
		}
		said, named = rest, true
	}
	return nil, false
}

// strip takes one name off the front.
func strip(s string) (rest string, ok bool) {
	var end int
	switch {
	case strings.HasPrefix(s, "<"):
		end = strings.IndexByte(s, '>')
	case strings.HasPrefix(s, "["):
		end = strings.IndexByte(s, ']')
	default:
		end = strings.Index(s, ": ")
	}
	if end <= 0 || end > maxName || strings.ContainsRune(s[:end], '\n') {
		return "", false
	}
	rest = strings.TrimSpace(strings.TrimPrefix(s[end+1:], ":"))
	return rest, rest != ""
}

func (d *Detector) add(t *text) {
	if d.order.Len() >= maxTexts {
		d.remove(d.order.Front())
	}
	d.texts[t.key] = d.order.PushBack(t)
}

func (d *Detector) remove(e *list.Element) {
	delete(d.texts, e.Value.(*text).key)
	d.order.Remove(e)
}

// expire drops what is too old.
func (d *Detector) expire(now time.Time) {
	for e := d.order.Front(); e != nil && now.Sub(e.Value.(*text).last) > Window; e = d.order.Front() {
		d.remove(e)
	}
}
