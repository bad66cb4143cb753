// Package demoid makes and reads the ids of the demo network that the bridge
// gives a meaning. It is pure; the spelling is stored and therefore for ever.
//
//	demoid.Guest("k7q2")     // "x-k7q2": the account of an XMPP person
//	demoid.Person("x-k7q2")  // "k7q2", true
package demoid

import (
	"strconv"
	"strings"
)

// guest is how accounts of people from outside begin.
const guest = "x-"

// Guest is the account on the network of an XMPP person.
func Guest(person string) string { return guest + person }

// Person is the reverse of Guest.
func Person(user string) (string, bool) {
	p, ok := strings.CutPrefix(user, guest)
	return p, ok && p != ""
}

// Key is the idempotency key of the n-th native call of an operation: the
// operation's id, and for all but the first its number.
func Key(op string, n int) string {
	if n == 0 || op == "" {
		return op
	}
	return op + "/" + strconv.Itoa(n)
}

// OwnKey is the key of a call that the bridge makes because of an event, by
// itself: what comes of it is news to the server, and no echo.
func OwnKey(event string) string { return "/" + event }

// Op is the operation a key belongs to, "" for calls of the bridge itself.
func Op(key string) string {
	op, _, _ := strings.Cut(key, "/")
	return op
}

// DirectOf tells whether a room is a direct chat that somebody is in.
func DirectOf(room, user string) bool {
	pair, ok := strings.CutPrefix(room, "dm-")
	return ok && user != "" && (strings.HasPrefix(pair, user+"-") || strings.HasSuffix(pair, "-"+user))
}
