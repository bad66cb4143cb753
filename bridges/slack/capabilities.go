package slack

import (
	"runtime/debug"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Info implements sdk.Bridge.
func (c *Connector) Info() sdk.Info {
	return sdk.Info{
		Plugin: "slack", Network: "slack", Title: "Slack", Version: version(),
		Addresses: addresses(), Config: sdk.SchemaOf(Config{}), Capabilities: capabilities(),
		Prompt: "#channel, @name, an e-mail address, an id such as U012ABC or a link",
	}
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}

// addresses: XMPP addresses are made of these for ever. Ids are upper-case ASCII, so
// that u012abc%t0xyz@slack.example.org loses nothing.
func addresses() sdk.AddressShape {
	ids := func(name string) sdk.AddressForm {
		return sdk.AddressForm{Name: name, Separator: ":", Segments: []sdk.AddressSegment{{Name: "id", Case: sdk.CaseUpper}, {Name: "team", Case: sdk.CaseUpper}}}
	}
	return sdk.AddressShape{
		Users: []sdk.AddressForm{ids("user")},
		Rooms: []sdk.AddressForm{ids("channel")},
		Aliases: []sdk.AddressForm{{Name: "name", RemotePrefix: "#", LocalPrefix: "#", Separator: ":",
			Segments: []sdk.AddressSegment{{Name: "name", Case: sdk.CaseFold}, {Name: "workspace", Case: sdk.CaseFold}}}},
	}
}

// Limits of Slack.
const (
	maxParts    = 10       // of one long text; a longer one becomes a file
	maxFile     = 1 << 30  // bytes
	maxTopic    = 250      // characters
	historyPage = 200      // messages asked for at a time
	maxReacts   = 23       // distinct emoji of one message
	maxName     = 80       // characters of a shown name
	maxAnswer   = 64 << 20 // bytes of an answer
)

// capabilities of every channel.
func capabilities() sdk.Capabilities {
	return sdk.Capabilities{
		Text: sdk.TextCapability{MaxLength: slackfmt.Limit, Unit: sdk.UnitRunes, MaxParts: maxParts, Formatting: []richtext.Kind{
			richtext.KindParagraph, richtext.KindQuote, richtext.KindCodeBlock, richtext.KindList, richtext.KindLineBreak, richtext.KindBold, richtext.KindItalic,
			richtext.KindUnderline, richtext.KindStrike, richtext.KindCode, richtext.KindLink, richtext.KindMention, richtext.KindEmoji, richtext.KindTime,
		}},
		Edit: sdk.TimedCapability{Level: sdk.LevelFull}, Retract: sdk.TimedCapability{Level: sdk.LevelFull}, ModRetract: sdk.LevelNone,
		Reactions: sdk.ReactionCapability{Level: sdk.LevelPartial, Distinct: maxReacts, Custom: sdk.LevelPartial},
		Replies:   sdk.LevelPartial, Threads: sdk.LevelFull, Captions: sdk.LevelPartial,
		Files:    sdk.FileCapability{Level: sdk.LevelPartial, MaxSize: maxFile, Count: 10},
		Personas: sdk.LevelFull, Avatars: sdk.LevelFull, PublicFaces: true,
		Presence: sdk.DirectionCapability{In: sdk.LevelPartial}, StatusText: sdk.DirectionCapability{In: sdk.LevelFull},
		Topic: sdk.RoomTextCapability{Level: sdk.LevelPartial, MaxLength: maxTopic}, Invite: sdk.LevelPartial, Kick: sdk.LevelPartial,
		Members: sdk.LevelFull, History: sdk.HistoryCapability{Level: sdk.LevelFull, PageSize: historyPage},
		Mentions: sdk.LevelFull, Broadcasts: sdk.LevelPartial,
		// By metadata, read back where there is doubt; one at a time, because a later message
		// must not overtake one that is tried again.
		Idempotent: true, Window: 1,
		Notes: []string{
			"reactions, files, topics, invitations and kicks are done by the bot for everybody",
			"people on Slack cannot call XMPP people with a mention; they see who is there only by what is written",
		},
	}
}
