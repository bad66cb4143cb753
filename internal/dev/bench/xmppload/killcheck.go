package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// killcheck kills the server while messages are sent and looks whether those
// that it had acknowledged (XEP-0198) are in the receivers' archives after it
// was started again.

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
type kcTally struct{ sent, acked, lost, lostAnywhere, doubled, unackedFound, archived int }

func (t *kcTally) add(x kcTally) {
	t.sent += x.sent
	t.acked += x.acked
	t.lost += x.lost
	t.lostAnywhere += x.lostAnywhere
	t.doubled += x.doubled
	t.unackedFound += x.unackedFound
	t.archived += x.archived
}

// tally goes through rounds [from, to). archive counts the copies of each
// message in its receiver's archive, other holds what the receiver got
// directly or the sender got back. lost is called for each message that is lost.
func tally(rounds [][]kcSent, from, to int, archive map[kcKey]int, other map[kcKey]bool, lost func(kcKey)) (t kcTally) {
	for r := from; r < to; r++ {
		for p, s := range rounds[r] {
			t.sent += s.sent
			t.acked += s.acked
			for q := 0; q < s.sent; q++ {
				k := kcKey{r, p, q}
				n := archive[k]
				if n > 0 {
					t.archived++
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

// kcSender is the session of a sender in one round.
type kcSender struct {
	tx    *Client
	mu    sync.Mutex
	win   ackWindow
	write func(seq int) error
}

// fill sends until the window is full or the session breaks.
func (s *kcSender) fill() (stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.win.full() {
		s.win.note(0)
		if s.write(s.win.msgs-1) != nil || s.win.due() && s.ask() != nil {
			return false
		}
	}
	return s.win.asked == 0
}

func (s *kcSender) ask() error {
	s.win.ask()
	return s.tx.send(ackReq)
}

// mamAll reads the archive of the session's account page by page (XEP-0313,
// XEP-0059) from start on, from its beginning if start is zero, and hands each
// result to fn.
func (c *Client) mamAll(start time.Time, page int, fn func(b []byte)) error {
	form := ""
	if !start.IsZero() {
		form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>" +
			"<field var='start'><value>" + start.UTC().Format("2006-01-02T15:04:05Z") + "</value></field></x>"
	}
	after := ""
	ends := map[string]bool{}
	defer c.nc.SetReadDeadline(time.Time{})
	for n := 0; ; n++ {
		c.nc.SetReadDeadline(time.Now().Add(c.cfg.Timeout))
		id := "mam" + strconv.Itoa(n)
		err := c.send("<iq type='set' id='" + id + "'><query xmlns='urn:xmpp:mam:2' queryid='" + id + "'>" + form +
			"<set xmlns='http://jabber.org/protocol/rsm'><max>" + strconv.Itoa(page) + "</max>" + after + "</set></query></iq>")
		if err != nil {
			return err
		}
		var fin []byte
		got := 0
		err = c.wait(func(b []byte, k byte) bool {
			if k == kindMessage && bytes.Contains(b, []byte("<result")) {
				got++
				fn(b)
			}
			if k != kindIQ || string(attr(b, "id")) != id {
				return false
			}
			fin = append(fin, b...)
			return true
		})
		if err != nil {
			return err
		}
		i := bytes.Index(fin, []byte("<fin"))
		if string(attr(fin, "type")) != "result" || i < 0 {
			return fmt.Errorf("archive of %s: %.300s", c.user, fin)
		}
		last := inner(fin, "<last")
		if string(attr(fin[i:], "complete")) == "true" || got == 0 || last == nil {
			return nil
		}
		if ends[string(last)] {
			return fmt.Errorf("archive of %s: two pages end at %s", c.user, last)
		}
		ends[string(last)] = true
		after = "<after>" + string(last) + "</after>"
	}
}

// forwardedID returns the id of the message within an archive's result.
func forwardedID(b []byte) []byte {
	return attr(b[bytes.LastIndex(b, []byte("<message")):], "id")
}

// sh runs a command of -kill-cmd or -start-cmd.
func sh(cmd string) error {
	c := exec.Command("/bin/sh", "-c", cmd)
	c.WaitDelay = time.Second // a server may hold on to the pipe
	out, err := c.CombinedOutput()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s: %w: %.500s", cmd, err, out)
	}
	return nil
}

func runKillcheck(cfg *Config, fs *flag.FlagSet, args []string) (res []*Result, err error) {
	rounds := fs.Int("rounds", 5, "times to kill the server")
	np := fs.Int("pairs", 10, "senders, each with a receiver of its own; every second receiver is logged in")
	window := fs.Int("window", 20, "messages on the way for each sender")
	acks := fs.Int("acks", 5, "messages between two requests for an acknowledgement")
	size := fs.Int("size", 100, "body size in bytes")
	earliest := fs.Duration("min", 200*time.Millisecond, "the kill is at a random moment from here")
	latest := fs.Duration("max", 2*time.Second, "to here after the first message")
	seed := fs.Int64("seed", 0, "seed of the random moments; 0: a new one")
	kill := fs.String("kill-cmd", "", "shell command that kills the server with SIGKILL; required")
	start := fs.String("start-cmd", "", "shell command that starts it and returns when it answers; required")
	page := fs.Int("page", 100, "archive results to ask for at a time")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	if *kill == "" || *start == "" || *latest < *earliest || *np < 1 || *window < 1 || *acks < 1 {
		return nil, fmt.Errorf("killcheck needs -kill-cmd and -start-cmd, and -min up to -max")
	}
	cfg.SM = true
	if *seed == 0 {
		*seed = time.Now().UnixNano() & 0x7fffffff
	}
	say := func(format string, a ...any) { fmt.Fprintf(os.Stderr, "xmppload: killcheck: "+format+"\n", a...) }
	say("seed %d", *seed)
	rnd := rand.New(rand.NewPCG(uint64(*seed), 0))
	run := strconv.FormatInt(time.Now().UnixNano(), 36)

	var sent [][]kcSent
	var mu sync.Mutex
	direct := map[kcKey]bool{} // what receivers got other than from the archive or senders got back as an error
	var live, offline, badAcks, errs atomic.Int64
	hoff, longest := 0, 0
	var restart time.Duration
	note := func(b []byte, n *atomic.Int64) {
		if k, ok := parseKC(run, attr(b, "id")); ok {
			n.Add(1)
			mu.Lock()
			direct[k] = true
			mu.Unlock()
		}
	}

	// load sends until the server is killed at the given time.
	load := func(round int, at time.Duration) ([]kcSent, error) {
		ss := make([]*kcSender, *np)
		var all []*Client
		for i := range ss {
			ss[i] = &kcSender{tx: newClient(cfg, cfg.First+2*i)}
			if all = append(all, ss[i].tx); i%2 == 1 {
				all = append(all, newClient(cfg, cfg.First+2*i+1))
			}
		}
		defer func() {
			for _, c := range all {
				if c.nc != nil {
					c.nc.Close()
				}
			}
		}()
		if err := connectAll(all, cfg.Conc, true); err != nil {
			return nil, err
		}
		body := "<body>" + string(bytes.Repeat([]byte("x"), *size)) + "</body></message>"
		for i, s := range ss {
			h, off, err := s.tx.ackBase()
			if err != nil {
				return nil, err
			}
			if off != 0 {
				hoff = off
			}
			s.win = ackWindow{base: h, size: *window, every: *acks}
			to := newClient(cfg, cfg.First+2*i+1).bare()
			s.write = func(seq int) error {
				return s.tx.send("<message to='" + to + "' type='chat' id='" + kcKey{round, i, seq}.id(run) + "'>" + body)
			}
		}
		var wg sync.WaitGroup
		var down atomic.Bool // the kill has begun
		early := make(chan error, len(all))
		read := func(c *Client, fn func([]byte, byte)) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := c.loop(fn); !down.Load() {
					early <- fmt.Errorf("%s: session ended before the kill: %w", c.user, err)
				}
			}()
		}
		n := 0
		for _, c := range all {
			if n == len(ss) || c != ss[n].tx {
				read(c, func(b []byte, k byte) {
					if k == kindMessage {
						note(b, &live)
					}
				})
				continue
			}
			s := ss[n]
			n++
			read(c, func(b []byte, k byte) {
				if k == kindMessage && isError(b) {
					note(b, &errs)
				}
				if k != kindAck {
					return
				}
				h, ok := ackH(b)
				s.mu.Lock()
				ok = ok && s.win.ack(h, nil)
				s.mu.Unlock()
				if !ok {
					badAcks.Add(1)
				}
				if s.fill() {
					time.AfterFunc(5*time.Millisecond, func() {
						s.mu.Lock()
						defer s.mu.Unlock()
						if s.win.asked == 0 && s.win.full() {
							s.ask()
						}
					})
				}
			})
		}
		for _, s := range ss {
			s.fill()
		}
		time.Sleep(at)
		down.Store(true)
		if err := sh(*kill); err != nil {
			return nil, err
		}
		// What the server had written before is still to be read.
		ended := make(chan struct{})
		go func() {
			wg.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			return nil, fmt.Errorf("sessions are still open 10 s after -kill-cmd")
		}
		select {
		case err := <-early:
			return nil, err
		default:
		}
		out := make([]kcSent, *np)
		for i, s := range ss {
			s.mu.Lock()
			out[i] = kcSent{s.win.msgs, s.win.done}
			s.mu.Unlock()
		}
		return out, nil
	}

	// archives reads the archives of all receivers; with drain it takes in
	// their offline messages too.
	archives := func(from time.Time, drain bool) (map[kcKey]int, error) {
		found := map[kcKey]int{}
		err := forEach(*np, cfg.Conc, func(i int) error {
			c := newClient(cfg, cfg.First+2*i+1)
			if err := connectAll([]*Client{c}, 1, false); err != nil {
				return err
			}
			defer c.logout()
			items := 0
			err := c.mamAll(from, *page, func(b []byte) {
				items++
				if k, ok := parseKC(run, forwardedID(b)); ok && k.pair == i {
					mu.Lock()
					found[k]++
					mu.Unlock()
				}
			})
			if err != nil {
				return err
			}
			mu.Lock()
			if items > longest {
				longest = items
			}
			mu.Unlock()
			if !drain {
				return nil
			}
			c.onUnit = func(b []byte, k byte) {
				if k == kindMessage {
					note(b, &offline)
				}
			}
			if err := c.presence(); err != nil {
				return err
			}
			for { // until nothing comes for a while
				c.nc.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
				b, k, err := c.next()
				if err != nil {
					return nil
				}
				c.onUnit(b, k)
			}
		})
		return found, err
	}

	var t kcTally
	done := 0
	for r := 0; r < *rounds && err == nil; r++ {
		began := time.Now().Add(-2 * time.Second) // archives may round
		at := *earliest + time.Duration(rnd.Int64N(int64(*latest-*earliest)+1))
		s, e := load(r, at)
		if err = e; err != nil {
			break
		}
		sent = append(sent, s)
		t0 := time.Now()
		if err = sh(*start); err != nil {
			break
		}
		restart += time.Since(t0)
		found, e := archives(began, true)
		if err = e; err != nil {
			break
		}
		x := tally(sent, r, r+1, found, direct, func(kcKey) {})
		say("round %d: killed after %v: sent %d, acked %d, lost %d, doubled %d, unacked_found %d",
			r+1, at.Round(time.Millisecond), x.sent, x.acked, x.lost, x.doubled, x.unackedFound)
		t.add(x)
		done++
	}
	if err == nil {
		// At the end everything again: a later kill must not take what an
		// earlier one left.
		var found map[kcKey]int
		if found, err = archives(time.Time{}, false); err == nil {
			shown := 0
			t = tally(sent, 0, len(sent), found, direct, func(k kcKey) {
				if shown++; shown <= 10 {
					say("lost: %s to %s", k.id(run), newClient(cfg, cfg.First+2*k.pair+1).bare())
				}
			})
		}
	}
	if err != nil {
		err = fmt.Errorf("after %d rounds, seed %d: %w", done, *seed, err)
	}
	return []*Result{{
		Variant: fmt.Sprintf("P=%d W=%d acks=%d", *np, *window, *acks),
		Params: map[string]any{"seed": *seed, "rounds": *rounds, "pairs": *np, "window": *window, "acks": *acks, "size": *size,
			"min": earliest.String(), "max": latest.String()},
		Fig: map[string]float64{
			"rounds_done": float64(done), "sent": float64(t.sent), "acked": float64(t.acked), "lost": float64(t.lost), "lost_anywhere": float64(t.lostAnywhere),
			"doubled": float64(t.doubled), "unacked_found": float64(t.unackedFound), "archived": float64(t.archived),
			"received_live": float64(live.Load()), "received_offline": float64(offline.Load()), "archive_max": float64(longest),
			"errors": float64(errs.Load()), "bad_acks": float64(badAcks.Load()), "h_offset": float64(hoff),
			"restart_s": round3(per(restart.Seconds(), float64(done))),
		},
	}}, err
}
