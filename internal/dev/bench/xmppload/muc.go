package main

import (
	"bytes"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

type occupant struct {
	*Client
	seen atomic.Int64 // presences from the room
	self chan struct{}
	got  atomic.Int64 // messages with a marker
	hist Hist
	tmpl *Template
	tmu  sync.Mutex
}

func runMUC(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	m := fs.Int("m", 200, "occupants")
	k := fs.Int("k", 4, "occupants that send")
	window := fs.Int("window", 1, "messages on the way for each sender; one counts as done when all occupants have it")
	size := fs.Int("size", 100, "body size in bytes")
	warmup := fs.Duration("warmup", 2*time.Second, "time before the measurement")
	dur := fs.Duration("duration", 10*time.Second, "time measured")
	service := fs.String("muc", "", "MUC service; default conference.DOMAIN")
	room := fs.String("room", "", "room; default a new one")
	limit := fs.Duration("joinlimit", 5*time.Minute, "limit on the join storm")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	if *k > *m {
		return nil, fmt.Errorf("-k is more than -m")
	}
	if *service == "" {
		*service = "conference." + cfg.Domain
	}
	if *room == "" {
		*room = fmt.Sprintf("bench%d", time.Now().UnixNano()/1e6)
	}
	roomJID := *room + "@" + *service
	inRoom := []byte(roomJID + "/")
	os := make([]*occupant, *m)
	cs := make([]*Client, *m)
	for i := range os {
		os[i] = &occupant{Client: newClient(cfg, cfg.First+i), self: make(chan struct{}, 1)}
		os[i].hello = "<hello role='m' id='0'/>"
		cs[i] = os[i].Client
	}
	if err := connectAll(cs, cfg.Conc, true); err != nil {
		closeAll(cs)
		return nil, err
	}
	defer closeAll(cs)

	var phase atomic.Int32
	var errs, broken atomic.Int64
	var firstErr atomic.Pointer[string]
	complain := func(b []byte) {
		errs.Add(1)
		s := fmt.Sprintf("%.300s", b)
		firstErr.CompareAndSwap(nil, &s)
	}
	// done[s][slot] counts the occupants that have the message in the slot.
	done := make([][]atomic.Int32, *k)
	for i := range done {
		done[i] = make([]atomic.Int32, *window)
	}
	sendSeq := func(s int, seq uint32) {
		o := os[s]
		o.tmu.Lock()
		defer o.tmu.Unlock()
		o.write(o.tmpl.stamp(nowNS(), seq))
	}
	for i, o := range os {
		if i < *k {
			o.tmpl = newTemplate(roomJID, "groupchat", i, *size)
		}
		go func() {
			err := o.loop(func(b []byte, kind byte) {
				switch kind {
				case kindPresence:
					from := attr(b, "from")
					if !bytes.HasPrefix(from, inRoom) && string(from) != roomJID {
						return
					}
					if len(attr(b, "type")) > 0 { // error or unavailable
						complain(b)
						return
					}
					o.seen.Add(1)
					if bytes.Contains(b, []byte("code='110'")) || bytes.Contains(b, []byte(`code="110"`)) {
						select {
						case o.self <- struct{}{}:
						default:
						}
					}
				case kindMessage:
					now := nowNS()
					ns, s, seq, ok := readMark(b)
					if isError(b) {
						complain(b)
						return
					}
					if !ok || s >= *k {
						return
					}
					o.got.Add(1)
					ph := phase.Load()
					if ph == phaseMeasure {
						o.hist.Add(now - ns)
					}
					if n := done[s][seq%uint32(*window)].Add(1); int(n) == *m {
						done[s][seq%uint32(*window)].Store(0)
						if ph != phaseDrain {
							sendSeq(s, seq+uint32(*window))
						}
					}
				}
			})
			if err != nil {
				broken.Add(1)
			}
		}()
	}
	fail := func(what string, err error) error {
		s := ""
		if p := firstErr.Load(); p != nil {
			s = ": " + *p
		}
		return fmt.Errorf("%s: %w%s", what, err, s)
	}

	var res []*Result
	variant := fmt.Sprintf("M=%d", *m)
	if !cfg.Raw {
		join := func(i int) error {
			o := os[i]
			err := o.send("<presence to='" + roomJID + "/" + o.user +
				"'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>")
			if err != nil {
				return err
			}
			select {
			case <-o.self:
				return nil
			case <-time.After(*limit):
				return errTimeout
			}
		}
		seen := func() (n float64) {
			for _, o := range os {
				n += float64(o.seen.Load())
			}
			return
		}
		// The first occupant creates the room and accepts its defaults.
		if err := join(0); err != nil {
			return nil, fail("creating the room", err)
		}
		if err := os[0].send("<iq type='set' id='own' to='" + roomJID + "'><query xmlns='http://jabber.org/protocol/muc#owner'>" +
			"<x xmlns='jabber:x:data' type='submit'/></query></iq>"); err != nil {
			return nil, err
		}
		time.Sleep(time.Second)
		mt := startMeter(cfg.PIDs)
		jerr := forEach(*m-1, cfg.Conc, func(i int) error { return join(i + 1) })
		joined := time.Since(mt.t0).Seconds()
		if jerr != nil {
			return nil, fail("joining", jerr)
		}
		werr := waitFor(*limit, func() bool {
			for _, o := range os {
				if o.seen.Load() < int64(*m) {
					return false
				}
			}
			return true
		})
		u := mt.Stop()
		if werr != nil {
			return nil, fail(fmt.Sprintf("join storm, %v of %d presences", seen(), *m**m), werr)
		}
		n := float64(*m**m - 1) // what is due; a server may send some twice
		res = append(res, &Result{
			Variant: variant + " join",
			Params:  map[string]any{"m": *m, "conc": cfg.Conc},
			Fig: map[string]float64{
				"join_s":           round3(u.Wall),
				"self_presence_s":  round3(joined),
				"extra":            seen() - n - 1,
				"presences_s":      round3(per(n, u.Wall)),
				"cpu_s_join":       round3(u.Server),
				"cpu_us_presence":  round3(per(1e6*u.Server, n)),
				"gen_cpu_per_sec":  round3(per(u.Gen, u.Wall)),
				"errors":           float64(errs.Load()),
				"server_cpu_per_s": round3(per(u.Server, u.Wall)),
			},
			Env: u.env(),
		})
	}

	got := func() (n float64) {
		for _, o := range os {
			n += float64(o.got.Load())
		}
		return
	}
	for s := 0; s < *k; s++ {
		for w := 0; w < *window; w++ {
			sendSeq(s, uint32(w))
		}
	}
	time.Sleep(*warmup)
	n0 := got()
	mt := startMeter(cfg.PIDs)
	phase.Store(phaseMeasure)
	time.Sleep(*dur)
	phase.Store(phaseDrain)
	n1 := got()
	u := mt.Stop()
	// Drain: all that was sent reaches everyone.
	werr := waitFor(10*time.Second, func() bool { return int64(got())%int64(*m) == 0 })
	n := n1 - n0
	h := &Hist{}
	for _, o := range os {
		h.Merge(&o.hist)
	}
	fig := map[string]float64{
		"deliveries_s":       round3(per(n, u.Wall)),
		"messages_s":         round3(per(n/float64(*m), u.Wall)),
		"cpu_s_100k":         round3(per(u.Server*1e5, n)),
		"gen_cpu_s_100k":     round3(per(u.Gen*1e5, n)),
		"server_cpu_per_sec": round3(per(u.Server, u.Wall)),
		"gen_cpu_per_sec":    round3(per(u.Gen, u.Wall)),
		"errors":             float64(errs.Load()),
		"broken_sessions":    float64(broken.Load()),
	}
	if werr != nil {
		fig["undrained"] = 1
	}
	h.Into(fig)
	note := ""
	if p := firstErr.Load(); p != nil {
		note = *p
	}
	res = append(res, &Result{
		Variant: fmt.Sprintf("%s K=%d msgs", variant, *k),
		Params: map[string]any{"m": *m, "k": *k, "window": *window, "size": *size, "duration": dur.String(),
			"suite": os[0].suite},
		Fig: fig, Env: u.env(), Note: note,
	})
	return res, nil
}
