package xmlstream

import (
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// usualNames are local names of elements and attributes that are worth one copy for all.
const usualNames = `
message presence iq body subject thread show status priority error query item group x c
to from id type name jid subscription ask approved ver node hash var label value field option title
instructions required form reported feature identity category nick role affiliation actor reason
password history invite decline continue destroy maxchars maxstanzas seconds since code by
stanza-id origin-id occupant-id delay stamp forwarded sent received private no-copy no-store
no-permanent-store store request receipt displayed acknowledged markable active composing paused
inactive gone replace retract retracted moderated reply reactions reaction reference fallback
text set get result max before after first last count index fin complete queryid start end with
pubsub event items publish publish-options configure create delete purge subscribe unsubscribe
subscriptions affiliations options default subscriber subid notify redirect uri
data metadata bytes width height url info photo vCard FN N NICKNAME BINVAL TYPE DESC EMAIL TEL
command action actions prev next execute cancel note session sessionid status
ping version os time tzo utc features mechanisms mechanism auth response challenge success failure
abort authenticate initial-response additional-data authorization-identifier continue tasks
user-agent software device inline bind resource bound sm enable enabled resume resumed failed a r h
resume location previd csi starttls proceed stream open close lang xmlns
block unblock blocklist conference autojoin storage slot put get header filename size content-type
algo desc key header payload iv encrypted rid sid prekey list signedPreKeyPublic bundle devices
bad-request conflict feature-not-implemented forbidden gone internal-server-error item-not-found
jid-malformed not-acceptable not-allowed not-authorized policy-violation recipient-unavailable
registration-required remote-server-not-found remote-server-timeout resource-constraint
service-unavailable subscription-required undefined-condition unexpected-request
jingle content description transport candidate payload-type parameter fingerprint propose proceed
accept reject addresses address handshake span styling markup idle hat hats uri`

// vocabulary is never written after construction, so a peer cannot make it grow.
var vocabulary = makeVocabulary()

func makeVocabulary() map[string]string {
	words := append(strings.Fields(usualNames), ns.All()...)
	m := make(map[string]string, len(words))
	for _, w := range words {
		m[w] = w
	}
	return m
}

// intern returns the shared copy of a usual name, and s itself for others.
func intern(s string) string {
	if w, ok := vocabulary[s]; ok {
		return w
	}
	return s
}

// ownString is a string of b that keeps nothing else alive.
func ownString(b []byte) string {
	if w, ok := vocabulary[string(b)]; ok {
		return w
	}
	return string(b)
}
