package demo

import (
	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Version is the plugin's version.
const Version = "0.1.0"

// Info implements sdk.Bridge.
func (c *Connector) Info() sdk.Info {
	return sdk.Info{
		Plugin: "demo", Network: "demo", Title: "Demo network", Version: Version,
		Addresses:    addresses(),
		Config:       sdk.SchemaOf(Config{}),
		Capabilities: capabilities(false),
		LoginFlows:   []sdk.LoginFlowInfo{{ID: "form", Name: "My own demo account", Description: "a name and a word"}},
		Prompt:       "mira, otto, juno, pip or lena; #lobby, #support or #crowd",
	}
}

// addresses says how ids look, and with that how XMPP addresses look: "mira" is
// mira@demo.example.org, "lobby" is lobby@rooms.demo.example.org. For ever.
func addresses() sdk.AddressShape {
	id := []sdk.AddressSegment{{Name: "id", Case: sdk.CaseMask}}
	return sdk.AddressShape{
		Users: []sdk.AddressForm{{Name: "person", Segments: id}},
		Rooms: []sdk.AddressForm{{Name: "room", Segments: id}},
		Aliases: []sdk.AddressForm{{
			Name: "alias", RemotePrefix: "#", LocalPrefix: "#", Segments: []sdk.AddressSegment{{Name: "name", Case: sdk.CaseFold}},
		}},
	}
}

// capabilities of the network; in strict rooms nothing is edited and nobody reacts.
func capabilities(strict bool) sdk.Capabilities {
	both := sdk.DirectionCapability{In: sdk.LevelFull, Out: sdk.LevelFull}
	caps := sdk.Capabilities{
		Text: sdk.TextCapability{
			MaxLength: demonet.MaxText, Unit: sdk.UnitRunes, MaxParts: 20,
			Formatting: []richtext.Kind{
				richtext.KindBold, richtext.KindItalic, richtext.KindStrike, richtext.KindCode, richtext.KindCodeBlock, richtext.KindMention,
			},
		},
		Edit:       sdk.TimedCapability{Level: sdk.LevelFull},
		Retract:    sdk.TimedCapability{Level: sdk.LevelFull},
		ModRetract: sdk.LevelPartial,
		Reactions:  sdk.ReactionCapability{Level: sdk.LevelFull},
		Replies:    sdk.LevelFull, Threads: sdk.LevelFull,
		Files:    sdk.FileCapability{Level: sdk.LevelFull, MaxSize: demonet.MaxFile, Count: 10},
		Captions: sdk.LevelFull, Personas: sdk.LevelFull, Avatars: sdk.LevelFull, GhostJoins: sdk.LevelFull,
		Typing: both, Presence: both, StatusText: both, ReadReceipts: both,
		Topic: sdk.RoomTextCapability{Level: sdk.LevelFull, MaxLength: 500}, RoomName: sdk.RoomTextCapability{Level: sdk.LevelFull, MaxLength: 100},
		Invite: sdk.LevelFull, Kick: sdk.LevelFull, Ban: sdk.LevelFull, Members: sdk.LevelFull,
		History:  sdk.HistoryCapability{Level: sdk.LevelFull, PageSize: 100},
		Mentions: sdk.LevelFull,
		// Every call takes a key, so a repeated operation does nothing new.
		Idempotent: true, Window: 16,
	}
	if strict {
		caps.Edit.Level, caps.Reactions.Level = sdk.LevelNone, sdk.LevelNone
		caps.Notes = []string{"a strict room: no edits, no reactions"}
	}
	return caps
}
