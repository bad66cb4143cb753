package plugintest

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// covered says which parts of the suite hold a bridge to something of the contract.
type covered struct {
	what  string
	parts []string
}

// abilities are the parts for each ability. What a bridge does not claim, the part
// "handshake" asks for once: it has to be refused as unsupported.
func abilities() map[sdk.Ability][]string {
	return map[sdk.Ability][]string{
		sdk.AbilityEdit: {"edit", "events"}, sdk.AbilityRetract: {"retract", "events", "send long"}, sdk.AbilityReact: {"react", "events"},
		sdk.AbilityTopic: {"room", "events"}, sdk.AbilityRoom: {"room", "events"}, sdk.AbilityGhosts: {"ghosts"}, sdk.AbilityProfile: {"profile"},
		sdk.AbilityInvite: {"moderate"}, sdk.AbilityModerate: {"moderate"}, sdk.AbilityTyping: {"signals", "signals under load", "events"},
		sdk.AbilityPresence: {"signals", "signals under load", "events"}, sdk.AbilityRead: {"signals", "events"},
		sdk.AbilitySearch: {"resolve and search"}, sdk.AbilityDM: {"direct chat", "login"}, sdk.AbilityCreate: {"create room"},
		sdk.AbilityHistory: {"history"}, sdk.AbilityMedia: {"files in", "faces"}, sdk.AbilityWatch: {"watch"},
		sdk.AbilityLogin: {"login", "login refused"}, sdk.AbilitySetup: {"setup"}, sdk.AbilityHTTP: {"http"},
	}
}

// coverage is what every bridge is held to besides its abilities. Progress, Gap, Rights, RoomMoved and PortalGone
// are not here: no driver can cause them, and each bridge's own tests have them.
func coverage() []covered {
	return slices.Concat([]covered{
		{"the description, its addresses and its configuration's keys", []string{"handshake"}},
		{"a bad configuration", []string{"configuration"}},
		{"the bridge's own test", []string{"configuration", "test"}},
		{"messages both ways, their order", []string{"send", "send in order", "messages in order"}},
		{"long and odd texts", []string{"send long", "odd texts"}},
		{"echoes", []string{"echo"}},
		{"replies and threads", []string{"reply", "events"}},
		{"rooms, members in pages, people", []string{"rooms", "members in pages", "people"}},
		{"capabilities that change", []string{"events"}},
		{"files both ways, whole and in ranges", []string{"files out", "files in"}},
	}, faultsCovered())
}

func faultsCovered() []covered {
	return []covered{
		{"an ack is late", []string{"acks late", "both windows full"}},
		{"an ack is lost", []string{"acks lost"}},
		{"an ack is doubled", []string{"acks doubled"}},
		{"acks are out of order", []string{"acks out of order"}},
		{"a batch fails", []string{"acks that fail"}},
		{"a result is late", []string{"outage", "deadlines"}},
		{"a result is lost", []string{"operations again", "results lost"}},
		{"an operation is doubled", []string{"operations doubled"}},
		{"results are out of order", []string{"send in order", "results lost"}},
		{"a crash before Deliver", []string{"crash at each step"}},
		{"a crash after Deliver, before the ack", []string{"crash at each step"}},
		{"a crash after the ack, before the cursor", []string{"acks lost", "resume"}},
		{"a crash in an operation, before the network took it", []string{"crash at each step of an operation"}},
		{"a crash in an operation, after the network took it", []string{"crash at each step of an operation"}},
		{"a crash before and after a result", []string{"crash under load", "operations again after a crash"}},
		{"windows without credit", []string{"both windows full"}},
		{"a crowded lossy lane", []string{"signals under load"}},
		{"an event the server does not know", []string{"events not taken"}},
		{"an operation the bridge does not know, or that makes no sense", []string{"hostile operations"}},
		{"a network that is away", []string{"outage", "test"}},
		{"an orderly end", []string{"drain", "resume"}},
	}
}
