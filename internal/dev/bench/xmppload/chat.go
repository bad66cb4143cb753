package main

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Phases of a measured run.
const (
	phaseWarm = iota
	phaseMeasure
	phaseDrain
)

type chatPair struct {
	mu   sync.Mutex // guards what is about sending
	tx   *Client
	rx   *Client
	tmpl *Template
	sent uint32
	away *awayTo    // with -owners
	win  *ackWindow // with -acks

	acked   atomic.Uint32
	ackHist Hist // guarded by mu

	recvd atomic.Uint32
	want  uint32 // next sequence number expected
	hist  Hist
	_     [64]byte
}

func (p *chatPair) send(ns int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sendLocked(ns)
}

func (p *chatPair) sendLocked(ns int64) error {
	if ns == 0 {
		ns = nowNS()
	}
	var b []byte
	if p.away != nil && p.away.turn() {
		b = p.away.stamp(ns)
	} else {
		b = p.tmpl.stamp(ns, p.sent)
		p.sent++
	}
	if p.win == nil {
		return p.tx.write(b)
	}
	p.win.note(ns)
	if err := p.tx.write(b); err != nil || !p.win.due() {
		return err
	}
	return p.ask()
}

func (p *chatPair) ask() error {
	p.win.ask()
	return p.tx.send(ackReq)
}

// fill sends until the window is full. It is true if no answer is due that
// could open the window again: the server had not got to the end when it
// answered the last request.
func (p *chatPair) fill() (stuck bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.win.full() {
		if p.sendLocked(0) != nil {
			return false
		}
	}
	return p.win.asked == 0
}

// ack takes in an <a/>.
func (p *chatPair) ack(b []byte, measure bool) (ok bool) {
	now := nowNS()
	h, ok := ackH(b)
	if !ok {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ok = p.win.ack(h, func(ns int64) {
		if measure {
			p.ackHist.Add(now - ns)
		}
	})
	p.acked.Store(uint32(p.win.done))
	return ok
}

// askAgain asks once more if the window is still stuck.
func (p *chatPair) askAgain() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.win.asked > 0 || !p.win.full() {
		return false
	}
	return p.ask() == nil
}

func (p *chatPair) unacked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.win.msgs - p.win.done
}

// awayTo makes the share of a pair's messages that goes to accounts nobody is
// logged in to, a random one of n each time.
type awayTo struct {
	tmpl  *Template
	buf   []byte
	rnd   *rand.Rand
	share float64
	acc   float64
	sent  uint32
	addr  func(i int) string
	n     int
}

// turn spreads the share evenly over the messages.
func (a *awayTo) turn() bool {
	a.acc += a.share
	if a.acc < 1 {
		return false
	}
	a.acc--
	return true
}

func (a *awayTo) stamp(ns int64) []byte {
	const open = "<message to='"
	b := a.tmpl.stamp(ns, a.sent)
	a.sent++
	a.buf = append(a.buf[:0], open...)
	a.buf = append(a.buf, a.addr(a.rnd.IntN(a.n))...)
	a.buf = append(a.buf, b[len(open):]...)
	return a.buf
}

func runChat(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	np := fs.Int("pairs", 50, "sender and receiver pairs")
	window := fs.Int("window", 10, "messages on the way for each pair")
	size := fs.Int("size", 100, "body size in bytes")
	rate := fs.Float64("rate", 0, "messages per second over all pairs at a fixed pace; 0: as fast as the windows allow")
	warmup := fs.Duration("warmup", 3*time.Second, "time before the measurement")
	dur := fs.Duration("duration", 15*time.Second, "time measured")
	full := fs.Bool("full", false, "address the full JID")
	acks := fs.Int("acks", 0, "with -sm: request an acknowledgement after so many messages and when the window is full; the window advances on <a/>, not on delivery")
	owners := fs.Int("owners", 0, "with -acks: accounts behind those of the pairs, not logged in, that get a share of the messages")
	share := fs.Float64("offline-share", 0.5, "with -owners: share of the messages that goes to a random one of these accounts")
	fs.StringVar(&cfg.RxAddr, "rxaddr", "", "address of the receivers' server, if another")
	fs.StringVar(&cfg.RxDomain, "rxdomain", "", "domain of the receivers, if another")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	switch {
	case *acks > 0 && (!cfg.SM || cfg.Raw):
		return nil, fmt.Errorf("-acks needs -sm and a server")
	case *owners > 0 && (*acks == 0 || *share <= 0 || *share > 1):
		return nil, fmt.Errorf("-owners needs -acks and an -offline-share over 0 up to 1")
	}
	pairs := make([]*chatPair, *np)
	var all []*Client
	for i := range pairs {
		p := &chatPair{tx: newClient(cfg, cfg.First+2*i), rx: newClient(cfg, cfg.First+2*i+1)}
		p.rx.addr, p.rx.domain = cfg.RxAddr, cfg.RxDomain
		if cfg.Raw {
			p.rx.addr = cfg.Addr
			p.tx.hello = fmt.Sprintf("<hello role='t' id='%d'/>", i)
			p.rx.hello = fmt.Sprintf("<hello role='r' id='%d'/>", i)
		}
		pairs[i] = p
		all = append(all, p.rx, p.tx)
	}
	if err := connectAll(all, cfg.Conc, true); err != nil {
		closeAll(all)
		return nil, err
	}
	var phase atomic.Int32
	var errs, ooo, foreign, broken, badAcks, again atomic.Int64
	closed := *rate == 0
	start := func(c *Client, fn func([]byte, byte)) {
		go func() {
			if err := c.loop(fn); err != nil {
				broken.Add(1)
			}
		}()
	}
	hoff := 0 // h at the start less the stanzas sent
	if *acks > 0 {
		var mu sync.Mutex
		err := forEach(*np, cfg.Conc, func(i int) error {
			h, off, err := pairs[i].tx.ackBase()
			pairs[i].win = &ackWindow{base: h, size: *window, every: *acks}
			if !closed {
				pairs[i].win.size = math.MaxInt // the pace decides
			}
			mu.Lock()
			if off != 0 {
				hoff = off
			}
			mu.Unlock()
			return err
		})
		if err != nil {
			closeAll(all)
			return nil, err
		}
	}
	for i, p := range pairs {
		to := p.rx.bare()
		if *full {
			to = p.rx.jid
		}
		p.tmpl = newTemplate(to, "chat", i, *size)
		if *owners > 0 {
			p.away = &awayTo{tmpl: newTemplate("", "chat", i, *size), rnd: rand.New(rand.NewPCG(uint64(i), 0)), share: *share,
				addr: func(k int) string { return fmt.Sprint(cfg.Prefix, cfg.First+2**np+k, "@", cfg.RxDomain) }, n: *owners}
			p.away.tmpl.b[p.away.tmpl.id-5] = 'o' // ids of their own
		}
		start(p.tx, func(b []byte, k byte) {
			if k == kindMessage && isError(b) {
				errs.Add(1)
			}
			if k != kindAck || p.win == nil {
				return
			}
			ph := phase.Load()
			if !p.ack(b, ph == phaseMeasure) {
				badAcks.Add(1)
			}
			if closed && ph != phaseDrain {
				if p.fill() {
					time.AfterFunc(5*time.Millisecond, func() {
						if phase.Load() != phaseDrain && p.askAgain() {
							again.Add(1)
						}
					})
				}
			}
		})
		start(p.rx, func(b []byte, k byte) {
			if k != kindMessage {
				return
			}
			now := nowNS()
			ns, sender, seq, ok := readMark(b)
			if !ok || sender != i || isError(b) {
				foreign.Add(1)
				return
			}
			if seq != p.want {
				ooo.Add(1)
			}
			p.want = seq + 1
			ph := phase.Load()
			if ph == phaseMeasure {
				p.hist.Add(now - ns)
			}
			p.recvd.Add(1)
			if closed && p.win == nil && ph != phaseDrain {
				p.send(0)
			}
		})
	}
	var wg sync.WaitGroup
	if closed && *acks > 0 {
		for _, p := range pairs {
			p.fill()
		}
	} else if closed {
		for w := 0; w < *window; w++ {
			for _, p := range pairs {
				p.send(0)
			}
		}
	} else {
		gap := time.Duration(float64(*np) / *rate * 1e9)
		for i, p := range pairs {
			wg.Add(1)
			go func() {
				defer wg.Done()
				p.pace(time.Now().Add(gap*time.Duration(i)/time.Duration(*np)), gap, &phase)
			}()
		}
	}
	total := func() (n float64) {
		for _, p := range pairs {
			n += float64(p.recvd.Load())
		}
		return
	}
	ackedTotal := func() (n float64) {
		for _, p := range pairs {
			n += float64(p.acked.Load())
		}
		return
	}
	time.Sleep(*warmup)
	n0, a0 := total(), ackedTotal()
	m := startMeter(cfg.PIDs)
	phase.Store(phaseMeasure)
	time.Sleep(*dur)
	phase.Store(phaseDrain)
	n1, a1 := total(), ackedTotal()
	u := m.Stop()
	wg.Wait()
	sent := func() (n float64) {
		for _, p := range pairs {
			p.mu.Lock()
			n += float64(p.sent)
			p.mu.Unlock()
		}
		return
	}
	unacked := 0
	if *acks > 0 {
		end := time.Now().Add(10 * time.Second)
		for ; ; time.Sleep(50 * time.Millisecond) {
			unacked = 0
			for _, p := range pairs {
				if n := p.unacked(); n > 0 {
					unacked += n
					p.mu.Lock()
					p.ask()
					p.mu.Unlock()
				}
			}
			if unacked == 0 || time.Now().After(end) {
				break
			}
		}
	}
	waitFor(10*time.Second, func() bool { return total() >= sent() })
	lost := sent() - total()
	closeAll(all)
	h := &Hist{}
	for _, p := range pairs {
		h.Merge(&p.hist)
	}
	n := n1 - n0
	fig := map[string]float64{
		"msgs_s":             round3(per(n, u.Wall)),
		"cpu_s_100k":         round3(per(u.Server*1e5, n)),
		"gen_cpu_s_100k":     round3(per(u.Gen*1e5, n)),
		"server_cpu_per_sec": round3(per(u.Server, u.Wall)),
		"gen_cpu_per_sec":    round3(per(u.Gen, u.Wall)),
		"lost":               lost,
		"errors":             float64(errs.Load()),
		"out_of_order":       float64(ooo.Load()),
		"unexpected":         float64(foreign.Load()),
		"broken_sessions":    float64(broken.Load()),
	}
	h.Into(fig)
	if *acks > 0 {
		ah := &Hist{}
		away := 0.0
		for _, p := range pairs {
			p.mu.Lock()
			ah.Merge(&p.ackHist)
			if p.away != nil {
				away += float64(p.away.sent)
			}
			p.mu.Unlock()
		}
		lat := map[string]float64{}
		ah.Into(lat)
		for _, q := range []string{"p50", "p99", "p999"} {
			fig["ack_"+q+"_ms"] = lat["lat_"+q+"_ms"]
		}
		fig["acked_msgs_s"] = round3(per(a1-a0, u.Wall))
		fig["cpu_s_100k_acked"] = round3(per(u.Server*1e5, a1-a0))
		fig["unacked"] = float64(unacked)
		fig["bad_acks"] = float64(badAcks.Load())
		fig["asked_again"] = float64(again.Load())
		fig["h_offset"] = float64(hoff)
		if *owners > 0 {
			fig["sent_offline"] = away
		}
	}
	v := fmt.Sprintf("P=%d W=%d", *np, *window)
	if !closed {
		v = fmt.Sprintf("P=%d %g/s", *np, *rate)
	}
	params := map[string]any{"pairs": *np, "window": *window, "size": *size, "rate": *rate, "full": *full,
		"sm": cfg.SM, "carbons": cfg.Carbons, "stanza_bytes": len(pairs[0].tmpl.b), "suite": pairs[0].tx.suite,
		"duration": dur.String(), "s2s": cfg.RxDomain != cfg.Domain}
	if *acks > 0 {
		v += fmt.Sprintf(" acks=%d", *acks)
		params["acks"] = *acks
	}
	if *owners > 0 {
		v += fmt.Sprintf(" owners=%d offline=%g", *owners, *share)
		params["owners"], params["offline_share"] = *owners, *share
	}
	return []*Result{{Variant: v, Params: params, Fig: fig, Env: u.env()}}, nil
}

// pace sends at fixed times. A message is stamped with the time it was due if
// the one before was still held up in the write at that time, so that a
// stalled server is charged for the messages that had to queue; oversleeping
// of this process is not charged to the server.
func (p *chatPair) pace(due time.Time, gap time.Duration, phase *atomic.Int32) {
	for phase.Load() != phaseDrain {
		var ns int64
		if d := time.Until(due); d > 0 {
			time.Sleep(d)
		} else if d < -gap {
			ns = int64(due.Sub(epoch))
		}
		if p.send(ns) != nil {
			return
		}
		due = due.Add(gap)
	}
}
