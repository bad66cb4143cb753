package demonet

import (
	"context"
	"fmt"
	"io"
	"time"
)

type (
	// UserID is a person's name in small letters, "mira", or "x-..." for a guest.
	UserID string
	// RoomID is a room's name in small letters, "lobby", or "dm-..." for a direct chat.
	RoomID string
	// MessageID is unique over all rooms and all lives of the network.
	MessageID string
)

// User is somebody on the network.
type User struct {
	ID      UserID
	Name    string
	Face    string // file id of the picture, "" for none
	Show    string // "online", "away", "busy", "offline"
	Status  string
	Guest   bool // made by a bridge for somebody from outside
	Deleted bool
	Active  time.Time // when she last said something
}

// Room is a room or a direct chat.
type Room struct {
	ID      RoomID
	Name    string
	Topic   string
	Public  bool
	Direct  bool
	Strict  bool // no edits and no reactions here
	Members []UserID
	Banned  []UserID
	Owner   UserID
	Address string // of the room elsewhere that it stands for, "" for none
}

// Message is one message.
type Message struct {
	ID        MessageID
	Room      RoomID
	Author    UserID
	Text      string // see bridges/demo/text.go for the markup
	Emote     bool
	Time      time.Time
	ReplyTo   MessageID
	Thread    MessageID
	Files     []File
	Version   int // counts edits
	Deleted   bool
	Reactions map[string][]UserID
	Key       string // of the call that made it
}

// File is a file's description.
type File struct {
	ID   string
	Name string
	Type string
	Size int64
}

// Kind says what happened.
type Kind string

// The kinds of events.
const (
	KindMessage  Kind = "message"
	KindEdit     Kind = "edit"
	KindDelete   Kind = "delete"
	KindReact    Kind = "react" // Emoji is the actor's whole set now
	KindJoin     Kind = "join"
	KindLeave    Kind = "leave"
	KindKick     Kind = "kick"
	KindBan      Kind = "ban"
	KindUnban    Kind = "unban"
	KindInvite   Kind = "invite" // of Address, somebody from outside
	KindBring    Kind = "bring"  // Address, a room from outside, is wanted here
	KindRoom     Kind = "room"   // name, topic or rules
	KindDirect   Kind = "direct" // a direct chat was opened
	KindUser     Kind = "user"   // name or picture
	KindPresence Kind = "presence"
	KindTyping   Kind = "typing"
	KindRead     Kind = "read"
)

// Event is one thing that happened.
type Event struct {
	ID      string // unique over all lives of the network
	Seq     int64
	Kind    Kind
	Time    time.Time
	Room    RoomID
	Actor   UserID
	Who     UserID // whom it was done to
	Message *Message
	Emoji   []string
	Chat    *Room
	User    *User
	Text    string // reason
	Address string
	Active  bool   // of typing
	Key     string // of the call that made it
}

// Page is a piece of the stream. From Next on there is more. Lost says that the
// network no longer had everything after the position asked for.
type Page struct {
	Events []Event
	Next   string
	Lost   bool
}

// Request is a call. Do names it; see the table in calls.go for what each takes.
type Request struct {
	Do      string
	Key     string // a call that is repeated with the same key has no further effect
	As      UserID
	Room    RoomID
	User    UserID
	Message MessageID
	Text    string
	Name    *string
	Face    *string
	Emote   bool
	ReplyTo MessageID
	Thread  MessageID
	Files   []string
	Emoji   []string
	Show    string
	Status  string
	Active  bool
	Public  bool
	Address string
	Limit   int
	Before  MessageID
	After   MessageID
	Token   string
}

// Response is what a call gives back.
type Response struct {
	Message  *Message
	Messages []Message
	Room     *Room
	Rooms    []Room
	User     *User
	Users    []User
	Token    string
	More     bool
}

// Code says why a call failed.
type Code string

// The codes.
const (
	Unavailable Code = "unavailable" // try again
	RateLimited Code = "rate-limited"
	NotFound    Code = "not-found"
	Forbidden   Code = "forbidden"
	Invalid     Code = "invalid"
	TooLong     Code = "too-long"
	BadToken    Code = "bad-token"
	Conflict    Code = "conflict"
)

// Error is a failed call.
type Error struct {
	Code       Code
	Text       string
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("demo network: %s: %s", e.Code, e.Text) }

func refuse(code Code, format string, args ...any) error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// API is the network as a client sees it; [Network] and [Client] implement it.
type API interface {
	Call(ctx context.Context, r Request) (Response, error)
	// Events waits until something happened after position at ("" is now, "0" the
	// beginning) and returns at most limit events.
	Events(ctx context.Context, at string, limit int) (Page, error)
	Upload(ctx context.Context, name, contentType string, body io.Reader) (File, error)
	// Download reads length bytes from offset; length 0 is the rest.
	Download(ctx context.Context, id string, offset, length int64) (File, io.ReadCloser, error)
}

// Clock is the time.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// RealClock is the system's clock.
type RealClock struct{}

// Now implements Clock.
func (RealClock) Now() time.Time { return time.Now() }

// AfterFunc implements Clock.
func (RealClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
