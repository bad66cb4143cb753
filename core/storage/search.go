package storage

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Searcher finds archived messages by their words. A store that has none cannot be searched. The index is behind what is committed until Index
// says that it is not.
type Searcher interface {
	// Index returns operations, the backend's own, that add up to limit messages to the index; none if there is nothing to add. The lists that are
	// indexed are Archive and Room.
	Index(ctx context.Context, limit int) (ops []journal.Op, err error)
	// Search is Messages.List of the entries in whose text every one of the words occurs (see Words). A word that ends in * stands for all that
	// begin like it.
	Search(ctx context.Context, kind RefKind, owner, words string, r Range) (page []Stored, more bool, err error)
}

// indexRows is about what a commit of 5 ms indexes.
const indexRows = 100

// Indexing is a Work that brings an index up to date.
type Indexing struct {
	of     Searcher
	slices int // left; negative: without bound
	behind bool
}

// NewIndexing returns the work; it ends after so many slices (0: when there is nothing left to do).
func NewIndexing(of Searcher, slices int) *Indexing {
	if slices == 0 {
		slices = -1
	}
	return &Indexing{of: of, slices: slices}
}

// Behind tells, once the work has ended, whether something was left.
func (w *Indexing) Behind() bool { return w.behind }

// Next implements journal.Work.
func (w *Indexing) Next(ctx context.Context, _ time.Duration, failed error) (*journal.Unit, error) {
	if failed != nil {
		return nil, fmt.Errorf("storage: index: %w", failed)
	}
	ops, err := w.of.Index(ctx, indexRows)
	if err != nil {
		return nil, fmt.Errorf("storage: index: %w", err)
	}
	w.behind = len(ops) > 0 && w.slices == 0
	if len(ops) == 0 || w.behind {
		return nil, nil
	}
	w.slices--
	u := journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: "index"})
	u.Add(ops...)
	return u, nil
}

// maxWords and maxWord bound what is indexed of one message, and looked for.
const (
	maxWords = 2000
	maxWord  = 64
)

// Text returns what of a stored message is indexed: its subjects and bodies, and who it is from and to as bare JIDs ("" for none).
func Text(body []byte) (text, from, to string, err error) {
	st, err := stanza.Unmarshal(body)
	if err != nil {
		return "", "", "", fmt.Errorf("storage: text of message: %w", err)
	}
	var b strings.Builder
	for c := range st.Payload.All() {
		if c.Is(ns.Client, "body") || c.Is(ns.Client, "subject") {
			b.WriteString(c.Text())
			b.WriteByte('\n')
		}
	}
	return b.String(), st.From.Bare().String(), st.To.Bare().String(), nil
}

// Words cuts a text into the words by which it is found: runs of letters and digits in lower case without diacritics, each once, in the order
// of their first occurrence. Every sign of the scripts that are written without spaces between words is a word of its own. With wild, a word
// of three letters or more may end in *.
func Words(text string, wild bool) []string {
	w := wordCutter{seen: map[string]bool{}, wild: wild}
	for _, r := range norm.NFKD.String(text) {
		switch {
		case unicode.Is(unicode.Mn, r): // what NFKD has split off
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			w.end("")
			w.word = append(w.word, r)
			w.end("")
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mc, r):
			w.word = append(w.word, unicode.ToLower(r))
		case r == '*' && wild && len(w.word) >= 3:
			w.end("*")
		default:
			w.end("")
		}
		if len(w.words) >= maxWords {
			return w.words
		}
	}
	w.end("")
	return w.words
}

type wordCutter struct {
	words []string
	seen  map[string]bool
	word  []rune
	wild  bool
}

func (w *wordCutter) end(mark string) {
	if len(w.word) > maxWord {
		w.word = w.word[:maxWord]
	}
	if s := string(w.word) + mark; len(w.word) > 0 && !w.seen[s] {
		w.seen[s] = true
		w.words = append(w.words, s)
	}
	w.word = w.word[:0]
}
