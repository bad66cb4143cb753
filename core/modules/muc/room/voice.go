package room

import (
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Fields of the forms muc#request (XEP-0045 §16.5.2).
const (
	fieldRole  = "muc#role"
	fieldJID   = "muc#jid"
	fieldNick  = "muc#roomnick"
	fieldAllow = "muc#request_allow"
)

// maxVoices bounds the voices that a room remembers.
const maxVoices = 10000

// Voice returns what a moderator has made of a person's voice, if that is kept.
func (r *Room) Voice(bare string) (Role, bool) {
	v, ok := r.voices[bare]
	return v, ok
}

// SetVoice keeps it; NoRole forgets it.
func (r *Room) SetVoice(bare string, v Role) {
	if v == NoRole {
		delete(r.voices, bare)
		return
	}
	r.voices[bare] = v
}

// KeepsVoice tells what is to be kept of a change of an occupant's role: a voice that differs from what her affiliation gives, in a moderated room.
// NoRole: nothing is.
func (r *Room) KeepsVoice(o *Occupant, role Role) Role {
	bare := o.Bare.String()
	a := r.Affiliation(o.Bare)
	_, known := r.voices[bare]
	if !r.Config.Moderated || o.Puppet || a >= Admin || a == Outcast || role == NoRole || role == Moderator {
		return r.voices[bare]
	}
	if role == InitialRole(a, true) || !known && len(r.voices) >= maxVoices {
		return NoRole
	}
	return role
}

// MayAskForVoice decides on a request for voice (XEP-0045 §7.13).
func (r *Room) MayAskForVoice(o *Occupant, f *form.Form) error {
	switch role, _ := ParseRole(f.Value(fieldRole)); {
	case o == nil:
		return stanza.NewError(stanza.NotAcceptable, "you are not in this room")
	case role != Participant:
		return stanza.NewError(stanza.BadRequest, "what can be asked for is the role participant")
	case o.Role >= Participant:
		return stanza.NewError(stanza.UnexpectedRequest, "you have voice")
	case r.Config.NoVoiceRequests:
		return stanza.NewError(stanza.NotAllowed, "nobody may ask for voice in this room")
	}
	return nil
}

// VoiceForm is what moderators are asked (XEP-0045 §8.6).
func VoiceForm(o *Occupant) *form.Form {
	f := form.New(form.TypeForm, ns.MUCRequest)
	f.Title = "Voice request"
	f.Instructions = []string{"To approve this request for voice, select the \"Grant voice to this person?\" checkbox and click OK. To skip this request, click the cancel button."}
	return f.Add(
		form.Field{Var: fieldRole, Type: form.ListSingle, Label: "Requested role", Values: []string{Participant.String()},
			Options: []form.Option{{Label: "Participant", Value: Participant.String()}}},
		form.Field{Var: fieldJID, Type: form.JIDSingle, Label: "User ID", Values: []string{o.RealJID().String()}},
		form.Field{Var: fieldNick, Type: form.TextSingle, Label: "Room Nickname", Values: []string{o.Nick}},
		form.Field{Var: fieldAllow, Type: form.Boolean, Label: "Grant voice to this person?", Values: []string{form.FormatBool(false)}})
}

// IsVoiceAnswer tells a moderator's form from a visitor's.
func IsVoiceAnswer(f *form.Form) bool {
	_, ok := f.Field(fieldAllow)
	return ok
}

// VoiceAnswer reads what a moderator has decided (XEP-0045 §8.6): about whom, and whether she gets voice. The real address has to be that of the
// nick: meanwhile somebody else may have it.
func (r *Room) VoiceAnswer(a Actor, f *form.Form) (o *Occupant, allow bool, err error) {
	if a.Role != Moderator {
		return nil, false, stanza.NewError(stanza.Forbidden, "only moderators may do this")
	}
	fd, _ := f.Field(fieldAllow)
	if allow, err = fd.Bool(); err != nil {
		return nil, false, stanza.NewError(stanza.BadRequest, "the answer is neither yes nor no")
	}
	if role, ok := ParseRole(f.Value(fieldRole)); f.Value(fieldRole) != "" && (!ok || role != Participant) {
		return nil, false, stanza.NewError(stanza.BadRequest, "what can be granted is the role participant")
	}
	o = r.ByNick(f.Value(fieldNick))
	if who := f.Value(fieldJID); o != nil && who != "" {
		same := who == o.Bare.String()
		for _, s := range o.Sessions {
			same = same || who == s.String()
		}
		if !same {
			o = nil
		}
	}
	if o == nil {
		return nil, false, stanza.NewError(stanza.ItemNotFound, "this occupant has left")
	}
	return o, allow, nil
}
