package discord

import (
	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
)

// plain is discordgo's message without its UnmarshalJSON: that refuses the whole
// message for one component that the library does not know yet.
type plain discordgo.Message

// message is discordgo's, with what v0.29.0 leaves out: the application of a
// webhook, and the titles and descriptions of files ("Message Object").
type message struct {
	plain
	App         string             `json:"application_id"`
	Attachments []attachment       `json:"attachments"`
	Embeds      []discordfmt.Embed `json:"embeds"` // as the formatter reads them
	Referenced  *message           `json:"referenced_message"`
	Snapshots   []struct {
		Message message `json:"message"`
	} `json:"message_snapshots"`
}

// attachment is discordgo's, with what v0.29.0 leaves out.
type attachment struct {
	discordgo.MessageAttachment
	Title string `json:"title"`
	About string `json:"description"`
}

// application is what is used of the bot's own application. discordgo's asks another
// address for it, and reads integration_types as an object.
type application struct {
	ID    string `json:"id"`
	Flags int    `json:"flags"`
}

// Limits of the documentation ("Message Resource", "Channel Resource").
const (
	limitContent        = 2000
	limitTopic          = 1024
	limitFiles          = 10
	limitRequest        = 24 << 20 // of the 25 MiB a request may have, with its frame
	limitTextParts      = 5
	limitThreadName     = 100
	limitReactionsKinds = 20
)

// isRoom reports whether a channel can be a room.
func isRoom(c *discordgo.Channel) bool {
	switch c.Type {
	case discordgo.ChannelTypeGuildText, discordgo.ChannelTypeGuildNews, discordgo.ChannelTypeGuildVoice:
		return true
	}
	return false
}

// youngestOf is the last message there is; in an empty channel the channel itself,
// which is older than all that will come.
func youngestOf(c *discordgo.Channel) string { return discordid.Max(c.LastMessageID, c.ID) }

// nameOf is how a user is called in a guild: nick, display name, user name.
func nameOf(m discordgo.Member) string {
	switch {
	case m.Nick != "":
		return m.Nick
	case m.User == nil:
		return ""
	case m.User.GlobalName != "":
		return m.User.GlobalName
	}
	return m.User.Username
}

// sameUser reports whether nothing changed of an account that is shown here.
func sameUser(a, b *discordgo.User) bool {
	return a.ID == b.ID && a.Username == b.Username && a.GlobalName == b.GlobalName && a.Avatar == b.Avatar && a.Bot == b.Bot
}
