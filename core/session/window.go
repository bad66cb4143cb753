package session

// window counts what a client has sent: stanzas are begun in order and handled in any order; low is the number below and including which all
// are handled (the h of XEP-0198 §4). Numbers wrap at 2^32.
type window struct {
	low  uint32
	done []uint64 // bit i: low+1+i is handled
}

// mark notes that n is handled and returns the new low.
func (w *window) mark(n uint32) uint32 {
	off := n - w.low - 1
	if off == 0 && len(w.done) == 0 { // in order: nothing to remember
		w.low = n
		return w.low
	}
	word := int(off / 64)
	for len(w.done) <= word {
		w.done = append(w.done, 0)
	}
	w.done[word] |= 1 << (off % 64)
	for len(w.done) > 0 && w.done[0]&1 != 0 {
		w.shift()
	}
	for len(w.done) > 0 && w.done[len(w.done)-1] == 0 {
		w.done = w.done[:len(w.done)-1]
	}
	if len(w.done) == 0 {
		w.done = nil
	}
	return w.low
}

// shift moves low on by as many as are handled in a row at the start of the first word.
func (w *window) shift() {
	k := 0
	for first := w.done[0]; first&1 != 0 && k < 64; first >>= 1 {
		k++
	}
	w.low += uint32(k)
	if k == 64 {
		w.done = w.done[1:]
		return
	}
	for i := range w.done {
		w.done[i] >>= k
		if i+1 < len(w.done) {
			w.done[i] |= w.done[i+1] << (64 - k)
		}
	}
}

// after tells whether a is a later count than b, also across the wrap.
func after(a, b uint32) bool { return int32(a-b) > 0 }

func later(a, b uint32) uint32 {
	if after(a, b) {
		return a
	}
	return b
}
