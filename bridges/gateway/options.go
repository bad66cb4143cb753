package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Options of the module; zero values are defaults.
type Options struct {
	Bridges []BridgeSpec
	// Secret encrypts the credentials of logins and makes the ids of persons. nil: one is made and kept in the store, beside what it protects.
	Secret []byte
	// IsAdmin tells who "admins" are in an allow list; nil: nobody.
	IsAdmin func(jid.JID) bool
	// Admins are who is told of what only they can mend; nil: nobody.
	Admins func(ctx context.Context) []jid.JID
	// Links are those of the configuration.
	Links []LinkSpec
	// Media stores files and gives links to them; nil: files are named in text only.
	Media Media
	// Detached is told when the session with a plugin has ended, and why; nil: nobody.
	Detached func(bridge string, err error)
	Tune     Tuning
}

// Tuning are the numbers; zero values are the defaults named.
type Tuning struct {
	MaxOccupants  int           // puppets shown in one room: 200 (the rest are members on its list)
	MaxAge        time.Duration // older messages go back to their sender: 48 h
	LeaveAfter    time.Duration // a ghost leaves so long after its person's session ended: 24 h
	GhostsPerSec  int           // ghosts of one bridge that join or leave in a second: 2
	JoinTimeout   time.Duration // the network's answer to somebody who enters: 60 s
	OpTimeout     time.Duration // one operation: 2 min
	RetryMin      time.Duration // the first pause after a temporary failure: 1 s
	RetryMax      time.Duration // the longest: 1 min
	PresenceDelay time.Duration // changes of remote presence are gathered so long: 5 s
	MaxListed     int           // members of a remote room that stand on the room's lists: 20,000
	MaxPortals    int           // rooms that the network may open by itself: 20,000
	InboxEvents   int           // events of a bridge that may be under way: 1024
	AvatarBytes   int           // a face: 256 KiB
	AvatarWorkers int           // faces fetched at a time: 2
}

// BridgeSpec is one entry of the configuration.
type BridgeSpec struct {
	Name   string // hosts NAME.Domain and rooms.NAME.Domain, for ever
	Domain string
	Title  string // for people; "": what the plugin says
	Allow  Allow
	// Configuration is what the plugin is configured with at each Attach.
	Configuration sdk.Configuration
	// Configured: whoever attaches has configured the plugin already.
	Configured bool
}

// Allow says who may do what: domains, bare JIDs, "admins", or "*" for everybody. An empty list is the accounts of this server.
type Allow struct {
	Use         []string // enter rooms, write to people
	CreateRooms []string // be the first in a room, which makes the bridge join it
	Link        []string // link rooms with this network; empty: admins
}

// RoomHost is a host that core/modules/muc has to serve for a bridge.
type RoomHost struct{ Name, Origin, Title, ListedIn string }

func (o *Options) fill() error {
	t := &o.Tune
	for _, d := range []struct {
		at   *int
		want int
	}{{&t.MaxOccupants, 200}, {&t.GhostsPerSec, 2}, {&t.InboxEvents, 1024}, {&t.AvatarBytes, 256 << 10}, {&t.AvatarWorkers, 2}, {&t.MaxListed, 20000}, {&t.MaxPortals, 20000}} {
		if *d.at <= 0 {
			*d.at = d.want
		}
	}
	for _, d := range []struct {
		at   *time.Duration
		want time.Duration
	}{
		{&t.MaxAge, 48 * time.Hour}, {&t.LeaveAfter, 24 * time.Hour}, {&t.JoinTimeout, time.Minute}, {&t.OpTimeout, 2 * time.Minute},
		{&t.RetryMin, time.Second}, {&t.RetryMax, time.Minute}, {&t.PresenceDelay, 5 * time.Second},
	} {
		if *d.at <= 0 {
			*d.at = d.want
		}
	}
	seen := map[string]bool{}
	for _, b := range o.Bridges {
		if err := b.check(); err != nil {
			return err
		}
		if seen[b.users()] {
			return fmt.Errorf("gateway: two bridges are called %s at %s", b.Name, b.Domain)
		}
		seen[b.users()] = true
	}
	return nil
}

// reserved names are hosts of the server itself.
func reserved(name string) bool {
	switch name {
	case "rooms", "upload", "pubsub", "proxy", "conference", "muc", "www", "admin":
		return true
	}
	return false
}

func (b BridgeSpec) check() error {
	switch {
	case b.Domain == "":
		return errors.New("gateway: a bridge needs a domain")
	case b.Name == "" || strings.Trim(b.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.HasPrefix(b.Name, "-") || strings.HasSuffix(b.Name, "-"):
		return fmt.Errorf("gateway: %q cannot be the name of a bridge: use small letters, digits and hyphens", b.Name)
	case reserved(b.Name):
		return fmt.Errorf("gateway: the server uses the name %q itself", b.Name)
	}
	if _, err := jid.New("", b.rooms(), ""); err != nil {
		return fmt.Errorf("gateway: bridge %s: %w", b.Name, err)
	}
	return nil
}

func (b BridgeSpec) users() string { return b.Name + "." + b.Domain }
func (b BridgeSpec) rooms() string { return "rooms." + b.users() }
