package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// kcKey names a message of killcheck. Its id is kc-RUN-ROUND-PAIR-SEQ, with
// RUN different each time.
type kcKey struct{ round, pair, seq int }

func (k kcKey) id(run string) string {
	return fmt.Sprintf("kc-%s-%d-%d-%d", run, k.round, k.pair, k.seq)
}

func parseKC(run string, id []byte) (k kcKey, ok bool) {
	f := bytes.Split(id, []byte("-"))
	if len(f) != 5 || string(f[0]) != "kc" || string(f[1]) != run {
		return k, false
	}
	for i, p := range []*int{&k.round, &k.pair, &k.seq} {
		n, err := strconv.Atoi(string(f[2+i]))
		if err != nil {
			return k, false
		}
		*p = n
	}
	return k, true
}

// kcSent is what a sender did in one round: messages 0 to sent-1, of which 0
// to acked-1 were acknowledged.
type kcSent struct{ sent, acked int }

// kcTally compares what was sent with what was found.
type kcTally struct{ sent, acked, lost, lostAnywhere, doubled, unackedFound, found int }

func (t *kcTally) add(x kcTally) {
	t.sent += x.sent
	t.acked += x.acked
	t.lost += x.lost
	t.lostAnywhere += x.lostAnywhere
	t.doubled += x.doubled
	t.unackedFound += x.unackedFound
	t.found += x.found
}

// tally goes through rounds [from, to). found counts the copies of each
// message at its receiver, other holds what the receiver got
// directly or the sender got back. lost is called for each message that is lost.
func tally(rounds [][]kcSent, from, to int, found map[kcKey]int, other map[kcKey]bool, lost func(kcKey)) (t kcTally) {
	for r := from; r < to; r++ {
		for p, s := range rounds[r] {
			t.sent += s.sent
			t.acked += s.acked
			for q := 0; q < s.sent; q++ {
				k := kcKey{r, p, q}
				n := found[k]
				if n > 0 {
					t.found++
				}
				if n > 1 {
					t.doubled++
				}
				if n > 0 && q >= s.acked {
					t.unackedFound++
				}
				if n == 0 && q < s.acked {
					t.lost++
					lost(k)
					if !other[k] {
						t.lostAnywhere++
					}
				}
			}
		}
	}
	return t
}
