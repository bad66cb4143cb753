package event

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

func TestArchiveNote(t *testing.T) {
	real := jid.MustParse("alice@example.org/Phone")
	for _, known := range []bool{false, true} {
		for _, affiliation := range []string{"owner", "admin", "member", "none", "outcast", ""} {
			for _, role := range []string{"moderator", "participant", "visitor", ""} {
				note := Occupant{Real: real, Affiliation: affiliation, Role: role}.ArchiveNote(known)
				a, r, resource := ReadArchiveNote(note)
				if a != affiliation || r != role || resource != "Phone" || KnownAuthor(note) != known {
					t.Errorf("%s, %s, %v: %q is read as %q, %q, %q, %v", affiliation, role, known, note, a, r, resource, KnownAuthor(note))
				}
			}
		}
	}
	// Those of before this was noted: nothing is known.
	if KnownAuthor([]byte("oMPhone")) || KnownAuthor(nil) || KnownAuthor([]byte("O")) {
		t.Error("an author is taken for known")
	}
}
