package room

import (
	"crypto/sha256"

	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// MaySpeak decides on a message to everybody (XEP-0045 §7.4).
func (r *Room) MaySpeak(o *Occupant) error {
	switch {
	case o == nil && r.Config.Locked: // §17.2
		return stanza.NewError(stanza.ItemNotFound, "this room is not open yet")
	case o == nil:
		return stanza.NewError(stanza.NotAcceptable, "you are not in this room")
	case o.Role < Participant:
		return stanza.NewError(stanza.Forbidden, "you do not have voice in this room")
	}
	return nil
}

// MaySetSubject decides on a change of the subject (XEP-0045 §8.1).
func (r *Room) MaySetSubject(o *Occupant) error {
	switch {
	case o == nil:
		return stanza.NewError(stanza.NotAcceptable, "you are not in this room")
	case o.Role == Moderator, o.Role == Participant && r.Config.ChangeSubject:
		return nil
	}
	return stanza.NewError(stanza.Forbidden, "you may not change the subject of this room")
}

// MayWhisper decides on a private message (XEP-0045 §7.5, muc#roomconfig_allowpm).
func (r *Room) MayWhisper(o, to *Occupant) error {
	switch {
	case o == nil && r.Config.Locked: // §17.2
		return stanza.NewError(stanza.ItemNotFound, "this room is not open yet")
	case o == nil:
		return stanza.NewError(stanza.NotAcceptable, "you are not in this room")
	case to == nil:
		return stanza.NewError(stanza.ItemNotFound, "there is no such occupant")
	}
	allowed := false
	switch r.Config.pm() {
	case PMAnyone:
		allowed = true
	case PMParticipants:
		allowed = o.Role >= Participant
	case PMModerators:
		allowed = o.Role == Moderator
	}
	// Moderators may always be asked, and may always answer: that is what they are for.
	if allowed || r.Config.pm() != PMNone && (o.Role == Moderator || to.Role == Moderator) {
		return nil
	}
	return stanza.NewError(stanza.NotAllowed, "private messages are not allowed in this room")
}

// MayInvite decides on a mediated invitation (XEP-0045 §7.8.2). member tells that the invitee becomes a member by it.
func (r *Room) MayInvite(o *Occupant) (member bool, err error) {
	if o == nil {
		return false, stanza.NewError(stanza.NotAcceptable, "you are not in this room")
	}
	a := r.Affiliation(o.Bare)
	if r.Config.MembersOnly {
		if a >= Admin || a >= Member && r.Config.AllowInvites {
			return true, nil
		}
		return false, stanza.NewError(stanza.Forbidden, "only admins may invite people into this room") // §9.5
	}
	if o.Role >= Participant || a >= Member {
		return false, nil
	}
	return false, stanza.NewError(stanza.Forbidden, "you may not invite people into this room") // §5.1.1
}

// Repetition is what a message and its repetition have in common: the sender's id and the body.
func Repetition(st *stanza.Stanza) [sha256.Size]byte {
	id := stanzaid.Origin(st.Payload)
	if id == "" {
		id = st.ID
	}
	return sha256.Sum256([]byte(id + "\x00" + st.Body()))
}
