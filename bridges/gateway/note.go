package gateway

import (
	"encoding/json"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// The sorts of operations that wait in an Outbox. They are stored: names are for ever.
const (
	opSay      = "say"
	opCorrect  = "correct"
	opRetract  = "retract"
	opReact    = "react"
	opTopic    = "topic"
	opModerate = "moderate"
	opProfile  = "profile"
	opInvite   = "invite"
)

// note is what an Outbox reference says beside its message: who does what, and how far it is.
type note struct {
	Op      string            `json:"op"`
	Bare    string            `json:"bare"`           // the person
	Full    string            `json:"full,omitempty"` // who is told of a refusal or a delivery
	Nick    string            `json:"nick,omitempty"`
	ID      string            `json:"id,omitempty"` // occupant id
	Role    sdk.Role          `json:"role,omitempty"`
	Room    string            `json:"room,omitempty"`   // whose archive the ids are of; "": the portal's
	Orig    storage.MessageID `json:"orig,omitempty"`   // of a dead letter that is sent again: the message that it was
	Target  storage.MessageID `json:"target,omitempty"` // of a correction, retraction, reaction
	Reply   storage.MessageID `json:"reply,omitempty"`
	Root    storage.MessageID `json:"root,omitempty"`   // the first message of the thread, if it is known
	Thread  string            `json:"thread,omitempty"` // the portal that has named the thread
	User    sdk.RemoteUserID  `json:"user,omitempty"`   // whom a moderator acts on
	Action  int32             `json:"action,omitempty"`
	NewRole sdk.Role          `json:"newrole,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Force   bool              `json:"force,omitempty"`   // a topic that is set even if the network seems to have it
	Receipt bool              `json:"receipt,omitempty"` // she asked for one (XEP-0184)
	Attempt int               `json:"attempt,omitempty"`
	Sent    bool              `json:"sent,omitempty"` // it was given to the plugin: after a crash nobody knows
	Prior   []sdk.Part        `json:"prior,omitempty"`
}

func (n note) encode() ([]byte, error) {
	b, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("gateway: encode note: %w", err)
	}
	return b, nil
}

func decodeNote(b []byte) (note, error) {
	var n note
	if err := json.Unmarshal(b, &n); err != nil {
		return n, fmt.Errorf("gateway: read note: %w", err)
	}
	return n, nil
}

// archive is where the messages are that the note names.
func (n *note) archive(p *portal) string { return firstOf(n.Room, p.archive()) }

// message is the message that is sent.
func (n *note) message(ref storage.Ref) storage.MessageID {
	if n.Orig != 0 {
		return n.Orig
	}
	return ref.Msg
}

func (n note) bare() jid.JID {
	j, err := jid.Parse(n.Bare)
	if err != nil {
		return jid.JID{}
	}
	return j
}
