package matrix

import (
	"runtime/debug"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Info implements sdk.Bridge.
func (c *Connector) Info() sdk.Info {
	return sdk.Info{
		Plugin: "matrix", Network: "matrix", Title: "Matrix", Version: version(),
		Addresses: addresses(), Config: sdk.SchemaOf(Config{}), Capabilities: capabilities(false),
		Prompt: "@user:server, #alias:server, !room:server or a matrix.to link",
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
	server := sdk.AddressSegment{Name: "server", Case: sdk.CaseFold}
	form := func(name, remote, local string, least int) sdk.AddressForm {
		return sdk.AddressForm{
			Name: name, RemotePrefix: remote, LocalPrefix: local, Separator: ":", Least: least,
			Segments: []sdk.AddressSegment{{Name: "localpart", Case: sdk.CaseMask}, server},
		}
	}
	return sdk.AddressShape{
		Users: []sdk.AddressForm{form("user", "@", "", 0)},
		// MSC4291: a room id of version 12 names no server.
		Rooms:   []sdk.AddressForm{form("room id", "!", "!", 1)},
		Aliases: []sdk.AddressForm{form("alias", "#", "#", 0)},
	}
}

// capabilities of a room, end-to-end encrypted or not.
func capabilities(encrypted bool) sdk.Capabilities {
	both := sdk.DirectionCapability{In: sdk.LevelFull, Out: sdk.LevelFull}
	c := sdk.Capabilities{
		Text: sdk.TextCapability{MaxLength: 4 * maxTextBytes, Unit: sdk.UnitBytes, MaxParts: 4, Formatting: []richtext.Kind{
			richtext.KindParagraph, richtext.KindQuote, richtext.KindCodeBlock, richtext.KindList, richtext.KindHeading,
			richtext.KindLineBreak, richtext.KindBold, richtext.KindItalic, richtext.KindUnderline, richtext.KindStrike,
			richtext.KindCode, richtext.KindLink, richtext.KindSpoiler, richtext.KindMention, richtext.KindEmoji,
		}},
		Edit:      sdk.TimedCapability{Level: sdk.LevelFull},
		Retract:   sdk.TimedCapability{Level: sdk.LevelFull},
		Reactions: sdk.ReactionCapability{Level: sdk.LevelFull, Custom: sdk.LevelPartial},
		Replies:   sdk.LevelFull, Threads: sdk.LevelFull, Captions: sdk.LevelFull,
		Files:    sdk.FileCapability{Level: sdk.LevelFull, MaxSize: maxUpload},
		Personas: sdk.LevelFull, Avatars: sdk.LevelFull, GhostJoins: sdk.LevelFull,
		Typing: both, Presence: both, StatusText: both, ReadReceipts: both,
		ModRetract: sdk.LevelPartial,
		Topic:      sdk.RoomTextCapability{Level: sdk.LevelPartial, MaxLength: 8192},
		RoomName:   sdk.RoomTextCapability{Level: sdk.LevelPartial, MaxLength: 255},
		RoomAvatar: sdk.LevelPartial, Invite: sdk.LevelPartial, Kick: sdk.LevelPartial, Ban: sdk.LevelPartial, Roles: sdk.LevelPartial,
		Members: sdk.LevelFull, History: sdk.HistoryCapability{Level: sdk.LevelFull, PageSize: readPage},
		Mentions: sdk.LevelFull, Broadcasts: sdk.LevelPartial,
		// Idempotent by transaction id, and by reading back after a crash; one at a
		// time all the same, because a later message must not overtake one that is
		// tried again.
		Idempotent: true, Window: 1,
		Notes: []string{"kicks, bans, topics and names need a power level on the Matrix side, of the person or of the bot"},
	}
	if encrypted {
		c.Text, c.Edit, c.Files, c.Reactions = sdk.TextCapability{}, sdk.TimedCapability{}, sdk.FileCapability{}, sdk.ReactionCapability{}
		c.Replies, c.Threads, c.Captions = sdk.LevelNone, sdk.LevelNone, sdk.LevelNone
		c.Notes = []string{"the room is end-to-end encrypted on Matrix: its messages cannot be read or written by the bridge"}
	}
	return c
}
