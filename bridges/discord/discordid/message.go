package discordid

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// Message is the id of a message towards the server. A thread is shown in its
// parent channel's room, so a message there also says in which thread it stands:
// without that it could not be changed later.
type Message struct {
	Thread string // "" for a message of the channel itself
	ID     string
}

// String is how it is spelt: "12", or "11-12" in thread 11.
func (m Message) String() string {
	if m.Thread == "" {
		return m.ID
	}
	return m.Thread + "-" + m.ID
}

// Channel is the channel the message stands in, in the room of a channel.
func (m Message) Channel(room string) string {
	if m.Thread != "" {
		return m.Thread
	}
	return room
}

// ParseMessage reads the spelling of String back.
func ParseMessage(s string) (Message, bool) {
	thread, id, threaded := strings.Cut(s, "-")
	if !threaded {
		return Message{ID: s}, Valid(s)
	}
	return Message{Thread: thread, ID: id}, Valid(thread) && Valid(id)
}

// Persona is the stable key of one of the names a webhook speaks under.
func Persona(webhook, name string) string {
	sum := sha256.Sum256([]byte(name))
	return "wh-" + webhook + "-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:8]))
}

// Emoji is how a reaction stands in a path: the emoji itself, or "name:id".
func Emoji(text, id string) string {
	if id == "" {
		return text
	}
	return strings.Trim(text, ":") + ":" + id
}

// Link leads to a channel, or to a message in it.
func Link(guild, channel, message string) string {
	if guild == "" {
		guild = "@me"
	}
	s := "https://discord.com/channels/" + guild + "/" + channel
	if message != "" {
		s += "/" + message
	}
	return s
}
