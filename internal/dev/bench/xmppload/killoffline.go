package main

import (
	"sync"
	"time"
)

// offlineJudge needs no archive: all receivers are away while messages are sent
// and log in after the restart (XEP-0160). Every acknowledged message must come,
// once, in the order in which it was sent. Then they log in once more: nothing
// may come again.
type offlineJudge struct {
	k   *killcheck
	cfg *Config // without stream management, so that what was written to a receiver has been delivered

	mu         sync.Mutex
	found      map[kcKey]int
	disordered int
}

func newOfflineJudge(k *killcheck) *offlineJudge {
	return &offlineJudge{k: k, found: map[kcKey]int{}}
}

func (*offlineJudge) online(int) bool { return false }

// begin takes away what an earlier run left, for which a server might have no
// room beside.
func (j *offlineJudge) begin() error {
	cfg := *j.k.cfg
	cfg.SM = false
	j.cfg = &cfg
	return j.visit(func(int) bool { return true })
}

// round has two visits; only what is missing is waited for longer.
func (j *offlineJudge) round(r int, _ time.Time) (kcTally, error) {
	complete := func(pair int) bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		for q := range j.k.sent[r][pair].acked {
			if j.found[kcKey{r, pair, q}] == 0 {
				return false
			}
		}
		return true
	}
	for range 2 {
		if err := j.visit(complete); err != nil {
			return kcTally{}, err
		}
	}
	return j.judge(r, r+1, func(kcKey) {}), nil
}

func (j *offlineJudge) end() (kcTally, error) {
	if err := j.visit(func(int) bool { return true }); err != nil {
		return kcTally{}, err
	}
	return j.judge(0, len(j.k.sent), j.k.sayLost()), nil
}

func (j *offlineJudge) figures(t kcTally, fig map[string]float64) {
	// What was acknowledged and then came back as an error is not lost: its sender knows.
	fig["lost"] = float64(t.lostAnywhere)
	fig["refused"] = float64(t.lost - t.lostAnywhere)
	fig["disordered"] = float64(j.disordered)
}

func (j *offlineJudge) judge(from, to int, lost func(kcKey)) kcTally {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.k.tally(from, to, j.found, lost)
}

// How long a receiver that has logged in waits for the next message.
const (
	waitMore    = 300 * time.Millisecond
	waitMissing = 5 * time.Second
)

// visit logs all receivers in, one session each, and takes what is waiting.
func (j *offlineJudge) visit(complete func(pair int) bool) error {
	return forEach(j.k.pairs, j.cfg.Conc, func(i int) error {
		c := newClient(j.cfg, j.k.receiver(i))
		order := orderOf{}
		c.onUnit = func(b []byte, kind byte) {
			m, ok := parseKC(j.k.run, attr(b, "id"))
			if kind != kindMessage || !ok || m.pair != i || isError(b) {
				return
			}
			j.k.offline.Add(1)
			j.mu.Lock()
			defer j.mu.Unlock()
			j.found[m]++
			if j.found[m] == 1 && order.late(m) {
				j.disordered++
			}
		}
		if err := connectAll([]*Client{c}, 1, false); err != nil {
			return err
		}
		defer c.logout()
		if err := c.presence(); err != nil {
			return err
		}
		c.quiet(waitMore)
		if !complete(i) {
			c.quiet(waitMissing)
		}
		return nil
	})
}

// orderOf watches the order of the messages of one sender.
type orderOf struct {
	last kcKey
	any  bool
}

// late tells whether a message comes behind one that was sent after it.
func (o *orderOf) late(m kcKey) bool {
	if o.any && (m.round < o.last.round || m.round == o.last.round && m.seq < o.last.seq) {
		return true
	}
	o.last, o.any = m, true
	return false
}
