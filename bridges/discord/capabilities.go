package discord

import (
	"runtime/debug"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Info implements sdk.Bridge.
func (c *Connector) Info() sdk.Info {
	return sdk.Info{
		Plugin: "discord", Network: "discord", Title: "Discord", Version: version(),
		Addresses: addresses(), Config: sdk.SchemaOf(Config{}), Capabilities: capabilities(),
		Prompt: "#channel:server, @name, an id or a link to a channel",
	}
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}

// addresses: XMPP addresses are made of these for ever.
func addresses() sdk.AddressShape {
	id := []sdk.AddressSegment{{Name: "id", Case: sdk.CaseDigits}}
	return sdk.AddressShape{
		Users: []sdk.AddressForm{{Name: "user", Segments: id}},
		Rooms: []sdk.AddressForm{{Name: "channel", Segments: id}},
		Aliases: []sdk.AddressForm{{
			Name: "name", RemotePrefix: "#", LocalPrefix: "#", Separator: ":",
			Segments: []sdk.AddressSegment{{Name: "name", Case: sdk.CaseFold}, {Name: "server", Case: sdk.CaseFold}},
		}},
	}
}

func capabilities() sdk.Capabilities {
	in := sdk.DirectionCapability{In: sdk.LevelFull}
	return sdk.Capabilities{
		Text: sdk.TextCapability{MaxLength: limitContent, Unit: sdk.UnitUTF16, MaxParts: limitTextParts, Formatting: []richtext.Kind{
			richtext.KindParagraph, richtext.KindQuote, richtext.KindCodeBlock, richtext.KindList, richtext.KindHeading, richtext.KindLineBreak,
			richtext.KindBold, richtext.KindItalic, richtext.KindUnderline, richtext.KindStrike, richtext.KindCode, richtext.KindLink,
			richtext.KindSpoiler, richtext.KindMention, richtext.KindEmoji, richtext.KindTime, richtext.KindSubtext,
		}},
		Edit: sdk.TimedCapability{Level: sdk.LevelFull}, Retract: sdk.TimedCapability{Level: sdk.LevelFull}, ModRetract: sdk.LevelPartial,
		// As the bot: each emoji once, whoever of this side reacted with it.
		Reactions: sdk.ReactionCapability{Level: sdk.LevelPartial, Distinct: limitReactionsKinds, Custom: sdk.LevelPartial},
		Replies:   sdk.LevelPartial, Threads: sdk.LevelFull,
		// A file over Discord's limit goes as a link.
		Files: sdk.FileCapability{Level: sdk.LevelFull, Count: limitFiles}, Captions: sdk.LevelFull,
		Personas: sdk.LevelFull, Avatars: sdk.LevelFull, PublicFaces: true,
		Typing: in, Presence: in, StatusText: in,
		Topic:   sdk.RoomTextCapability{Level: sdk.LevelPartial, MaxLength: limitTopic},
		Members: sdk.LevelFull, History: sdk.HistoryCapability{Level: sdk.LevelFull, PageSize: 100}, Mentions: sdk.LevelFull,
		Notes: []string{
			"replies are a quotation with a link: webhooks cannot answer",
			"reactions are the bot's, each emoji once for all people of this side, at most 20 on a message",
			"the topic can be changed twice in ten minutes",
			"files over the server's limit (10 MiB without boosts) go as a link",
		},
	}
}
