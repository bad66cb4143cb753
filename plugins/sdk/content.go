package sdk

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// MessageKind is how a message is meant.
type MessageKind int32

const (
	KindText   MessageKind = 0
	KindEmote  MessageKind = 1 // "/me waves": Body is "waves"
	KindNotice MessageKind = 2 // written by a machine; bots do not answer it
)

// Content is what a message says, the same in both directions.
type Content struct {
	Kind        MessageKind
	Body        richtext.Document // normal form
	Attachments []Attachment
	ReplyTo     *Reply
	Thread      *Thread
	Spoiler     bool   // the whole message is to be hidden until asked for
	SpoilerText string // why
	Previews    []Preview
	Unencrypted string // for a message the bridge could not read: what the network calls its encryption; Body says so
}

// Attachment is one file of a message.
type Attachment struct {
	Media   Media
	Part    PartID // the file's own part where the network makes it a message of its own
	Inline  bool   // a picture, sound or film meant to be shown in place
	Voice   bool   // a voice message
	Sticker bool
	Caption richtext.Document
}

// Reply says what a message answers. If Target is zero the network (or the other
// side) no longer knows it; Author and Excerpt are then all there is to quote.
type Reply struct {
	Target  MessageRef
	Author  string // name to show
	Excerpt string // plain text, at most a few lines
	Link    string // a link to the message on its own network, or ""
}

// Thread puts a message into a thread. Root is the message the thread started
// from; ID is the network's name for the thread, "" where that is the root.
type Thread struct {
	ID   string
	Root MessageRef
	Name string
	// Broadcast: the message shows in the room as well (Slack's reply_broadcast).
	Broadcast bool
}

// Preview is what a network shows below a link, or an embed of a bot.
type Preview struct {
	URL, Title, Site string
	Text             richtext.Document
	Image            *Media
}

// Emoji is a reaction: a Unicode emoji, or a custom one of the network.
type Emoji struct {
	Text  string // the emoji itself, or ":name:"
	ID    string // the network's id of a custom emoji; "" for Unicode
	Media *Media // its picture, if custom and known
}

// Persona is a name and face for one message only (a webhook, PluralKit, an
// app's customised name). Key tells the personas of one author apart, stably.
type Persona struct {
	Key    string
	Name   string
	Avatar *Media
}

// Media describes a file; its bytes never travel in a message.
type Media struct {
	// ID is how the bytes are had. If Lazy, the bridge made it and the server
	// calls FetchMedia at the first download. Otherwise the server made it: it
	// came from Host.Upload, or stands in an operation and is read with Host.Open.
	ID   MediaID
	Lazy bool
	// Key names the content itself where the network has such a name (an avatar's
	// hash): equal keys are not fetched twice.
	Key       string
	Name      string // file name, without a path
	Type      string // media type as the sender says, "" if unknown
	Size      int64  // bytes; negative if unknown
	SHA256    []byte // if known
	Width     int    // pixels; 0 if unknown
	Height    int
	Duration  time.Duration
	Blurhash  string
	URL       string    // a link that people (in operations also the network's servers) can open, or ""
	Expires   time.Time // when the bytes will be gone at their source; zero if never
	Thumbnail *Media
}

// Range is a part of a file. The zero value is the whole file.
type Range struct {
	Offset int64
	Length int64 // 0: to the end
}

// IsZero reports whether r is the whole file.
func (r Range) IsZero() bool { return r == Range{} }
