package event

import "github.com/viaduct-xmpp/viaduct/core/jid"

// An archive note is what a room's archive keeps beside a message of who said it, for those who may know (XEP-0313 §5.1.3): what she was to the
// room, a letter each, and the resource of her address. The bare address is the reference's Peer. It is shared by who writes the archive and
// who shows it.

var noteLetters = map[string]byte{
	"owner": 'o', "admin": 'a', "member": 'm', "none": 'n', "outcast": 'x',
	"moderator": 'M', "participant": 'P', "visitor": 'V',
}

// ArchiveNote returns the note of a message of this occupant.
func (o Occupant) ArchiveNote() []byte {
	letter := func(s string) byte {
		if c, ok := noteLetters[s]; ok {
			return c
		}
		return '-'
	}
	return append([]byte{letter(o.Affiliation), letter(o.Role)}, o.Real.Resource()...)
}

// ReadArchiveNote returns what ArchiveNote wrote; what cannot be read is "".
func ReadArchiveNote(note []byte) (affiliation, role, resource string) {
	if len(note) < 2 {
		return "", "", ""
	}
	for name, c := range noteLetters {
		switch c {
		case note[0]:
			affiliation = name
		case note[1]:
			role = name
		}
	}
	if r, err := jid.New("", "x", string(note[2:])); err == nil {
		resource = r.Resource()
	}
	return affiliation, role, resource
}
