package plug

import (
	"context"
	"log/slog"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Room is a room as a feature sees it.
type Room interface {
	JID() jid.JID
	// State is the room itself. It may be kept to find out whether it is still the same room, and is changed by nobody but the room.
	State() *room.Room
	Context() context.Context
	Now() time.Time
	Log() *slog.Logger
	// Archived tells whether what is said is stored.
	Archived() bool
	// Memory is what the feature remembers of the room while it is in memory: made anew, by fresh, for each room that is loaded.
	Memory(key any, fresh func() any) any

	Table(name string) storage.Table
	// Unit is a unit in the room's lane; Submit commits it.
	Unit() *journal.Unit
	Submit(u *journal.Unit)
	// Queue is the room's: for steps after a commit.
	Queue() journal.Poster
	// Trace adds the row that leads from a person to what the room keeps of her, so that it goes with her account.
	Trace(u *journal.Unit, bare string)

	// Refuse answers a request with an error and ends its unit; Reply answers it and ends its unit.
	Refuse(q *Request, err error)
	Reply(q *Request, payload ...*xmlstream.Node)
	// Commit submits the unit of a request; then is called with its outcome, and nothing else of the room is decided before. Answer and Failed tell the
	// asker of it.
	Commit(q *Request, then func(error))
	Answer(q *Request, payload *xmlstream.Node)
	Failed(q *Request, err error)

	// SaveConfig adds the rows of another configuration; SetConfig makes it the room's when it is committed.
	SaveConfig(u *journal.Unit, c room.Config)
	SetConfig(c room.Config)
	// Status tells everybody of a change of the room as a whole (XEP-0045 §10.2.1).
	Status(codes ...int)
	// Reshow shows everybody the presence of somebody again.
	Reshow(who jid.JID)

	// NewID makes an id for a stanza.
	NewID() string
	// StanzaID is the room's stanza-id of a message (XEP-0359).
	StanzaID(id storage.MessageID) *xmlstream.Node
	// Send sends a stanza in the room's name to somebody who need not be in it.
	Send(st *stanza.Stanza, to jid.JID)
}

// Request is an iq request to a room.
type Request struct {
	Stanza *stanza.Stanza
	Query  *xmlstream.Node
	Unit   *journal.Unit
}

// IQ is a request that a feature answers. It waits until the room has nothing under way.
type IQ struct {
	Type, Space, Local string
	Handle             func(Room, *Request)
}

// Hooks are the moments at which a feature takes part; nil: it does not.
type Hooks struct {
	// Guard may refuse a person's message to everybody with a stanza error. Nothing is stored yet.
	Guard func(Room, *event.RoomMessage) error
	// Record adds rows to the unit of a message that is accepted: they commit with it or not at all.
	Record func(Room, *event.RoomMessage)
	// Said is told of a message that is committed and shown, also one from a gateway.
	Said func(Room, *event.RoomMessage)
	// Info adds features to disco#info, and fields to muc#roominfo; the form is nil for those who may not see it.
	Info func(Room, *form.Form) []string
	// Load reads what belongs to a room that has just been read from the store.
	Load func(Room) error
	// Configure adds rows to the unit of a change of the configuration; State has the old one.
	Configure func(Room, *journal.Unit, room.Config)
	// Forget drops from memory what is remembered of a person whose account was deleted; her rows are gone.
	Forget func(Room, jid.JID)
	// Worn is what presence of an occupant shows besides; nil: nothing.
	Worn func(Room, *room.Occupant) *xmlstream.Node
	// IQ are the requests to a room that the feature answers.
	IQ []IQ
	// Items are disco#items of a node of a room.
	Items map[string]func(r Room, asker jid.JID) []module.DiscoItem
	// Tables are owned by the room and go with it; of PersonTables, which are among them, the key is a bare JID.
	Tables, PersonTables []string
}
