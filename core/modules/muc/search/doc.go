// Package search finds the public rooms of a service by words (XEP-0433).
//
// There is no index of words: rooms at rest are on disk, and the list of the public ones is read from where the last page ended. So that a
// request costs a bounded amount, it looks at [Most] rooms and says how far it has come; who asks often, or is of a server that does, waits; and
// few searches run at once. Rooms with people in them come out of a ranking that is made anew the less often the more of them there are.
//
// What this package is not: it knows nothing of a room that is in memory but how many are in it, which its Options tell.
//
// Goroutines: none. A Service is used by many at once; its lock guards buckets and rankings, and nothing else is taken under it.
//
//	s := search.New(search.Options{Rooms: store.Rooms(), Now: clock.Now, Occupied: occupied, Seats: seats})
//	result, err := s.Answer(ctx, "rooms.example.org", asker, query)
package search
