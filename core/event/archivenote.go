package event

import (
	"unicode"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// An archive note is what a room's archive keeps beside a message of who said it, for those who may know (XEP-0313 §5.1.3): what she was to the
// room, a letter each, and the resource of her address. The first is a capital if everybody in the room was shown her address then. The bare
// address is the reference's Peer. It is shared by who writes the archive and who shows it.

// AuthorsShown says of which messages of a room's archive a reader is shown the real author.
type AuthorsShown uint8

// The ways.
const (
	NoAuthors    AuthorsShown = iota
	AuthorsKnown              // of those in which she was shown to everybody when they were said
	AllAuthors
)

var noteLetters = map[string]byte{
	"owner": 'o', "admin": 'a', "member": 'm', "none": 'n', "outcast": 'x',
	"moderator": 'M', "participant": 'P', "visitor": 'V',
}

// ArchiveNote returns the note of a message of this occupant; known: everybody is shown her address.
func (o Occupant) ArchiveNote(known bool) []byte {
	letter := func(s string) byte {
		if c, ok := noteLetters[s]; ok {
			return c
		}
		return '-'
	}
	first := letter(o.Affiliation)
	if known {
		first = knownLetter(first)
	}
	return append([]byte{first, letter(o.Role)}, o.Real.Resource()...)
}

// knownLetter marks a first letter; that of no affiliation has no capital.
func knownLetter(c byte) byte {
	if c == '-' {
		return '+'
	}
	return byte(unicode.ToUpper(rune(c)))
}

// KnownAuthor tells of a note whether everybody in the room was shown who said the message.
func KnownAuthor(note []byte) bool {
	return len(note) >= 2 && (note[0] == '+' || note[0] >= 'A' && note[0] <= 'Z')
}

// ReadArchiveNote returns what ArchiveNote wrote; what cannot be read is "".
func ReadArchiveNote(note []byte) (affiliation, role, resource string) {
	if len(note) < 2 {
		return "", "", ""
	}
	first := byte(unicode.ToLower(rune(note[0])))
	for name, c := range noteLetters {
		switch c {
		case first:
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
