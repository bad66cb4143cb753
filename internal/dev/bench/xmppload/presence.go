package main

import (
	"bytes"
	"flag"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// The users form a ring; each has its r/2 neighbours on either side as
// contacts, subscribed both ways.

type contactFlags struct{ n, r int }

func (f *contactFlags) add(fs *flag.FlagSet) {
	fs.IntVar(&f.n, "n", 500, "users")
	fs.IntVar(&f.r, "r", 20, "contacts of each user; even, less than -n")
}

func (f *contactFlags) check() error {
	if f.r < 2 || f.r%2 != 0 || f.r >= f.n {
		return fmt.Errorf("-r must be even, at least 2 and less than -n")
	}
	return nil
}

// countBoth counts the contacts subscribed both ways in a roster result.
func countBoth(b []byte) int {
	return bytes.Count(b, []byte("subscription='both'")) + bytes.Count(b, []byte(`subscription="both"`))
}

// fetchBoth asks for the roster and counts.
func (c *Client) fetchBoth() (int, error) {
	n := -1
	if err := c.send("<iq type='get' id='ros2'><query xmlns='jabber:iq:roster'/></iq>"); err != nil {
		return 0, err
	}
	err := c.wait(func(b []byte, k byte) bool {
		if k != kindIQ || string(attr(b, "id")) != "ros2" {
			return false
		}
		n = countBoth(b)
		return true
	})
	return n, err
}

func runRosterSetup(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	var cf contactFlags
	cf.add(fs)
	limit := fs.Duration("limit", 5*time.Minute, "limit on the exchange")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	if err := cf.check(); err != nil {
		return nil, err
	}
	m := startMeter(cfg.PIDs)
	cs := make([]*Client, cf.n)
	jid := func(i int) string {
		return cfg.Prefix + strconv.Itoa(cfg.First+(i+cf.n)%cf.n) + "@" + cfg.Domain
	}
	for i := range cs {
		cs[i] = newClient(cfg, cfg.First+i)
	}
	defer func() { closeAll(cs) }()
	if err := connectAll(cs, cfg.Conc, true); err != nil {
		return nil, err
	}
	var missing atomic.Int64
	var both atomic.Int64
	todo := make([]bool, cf.n)
	err := forEach(cf.n, cfg.Conc, func(i int) error {
		n, err := cs[i].fetchBoth()
		if n < cf.r {
			todo[i] = true
			missing.Add(1)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if missing.Load() > 0 {
		type state struct{ subscribed atomic.Int64 }
		st := make([]state, cf.n)
		for i, c := range cs {
			asked := map[string]bool{}
			for d := 1; d <= cf.r/2; d++ {
				asked[jid(i+d)] = true
			}
			go c.loop(func(b []byte, k byte) {
				if k != kindPresence {
					return
				}
				from, _, _ := bytes.Cut(attr(b, "from"), []byte("/"))
				switch string(attr(b, "type")) {
				case "subscribe":
					c.send("<presence type='subscribed' to='" + string(from) + "'/>")
					if !asked[string(from)] {
						asked[string(from)] = true
						c.send("<presence type='subscribe' to='" + string(from) + "'/>")
					}
				case "subscribed":
					st[i].subscribed.Add(1)
				}
			})
		}
		err := forEach(cf.n, 4, func(i int) error {
			for d := 1; d <= cf.r/2; d++ {
				if err := cs[i].send("<presence type='subscribe' to='" + jid(i+d) + "'/>"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		waitFor(*limit, func() bool {
			for i := range st {
				if st[i].subscribed.Load() < int64(cf.r) {
					return false
				}
			}
			return true
		})
		time.Sleep(time.Second)
		closeAll(cs)
		for i := range cs {
			cs[i] = newClient(cfg, cfg.First+i)
		}
		if err := connectAll(cs, cfg.Conc, false); err != nil {
			return nil, err
		}
	}
	short := 0
	for _, c := range cs {
		if missing.Load() > 0 {
			n, err := c.fetchBoth()
			if err != nil {
				return nil, err
			}
			both.Add(int64(n))
			if n < cf.r {
				short++
			}
		}
	}
	u := m.Stop()
	res := &Result{
		Params: map[string]any{"n": cf.n, "r": cf.r},
		Fig:    map[string]float64{"had_to_set_up": float64(missing.Load()), "users_short": float64(short), "both": float64(both.Load())},
		Env:    u.env(),
	}
	if short > 0 {
		return []*Result{res}, fmt.Errorf("%d users lack contacts", short)
	}
	return []*Result{res}, nil
}

type watcher struct {
	*Client
	self  []byte
	first atomic.Int64 // presences of contacts in the login storm
	upd   atomic.Int64 // marked presences of contacts
	hist  Hist
}

func runPresence(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	var cf contactFlags
	cf.add(fs)
	rounds := fs.Int("rounds", 5, "status updates of each user")
	limit := fs.Duration("limit", 2*time.Minute, "limit on each part")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	if err := cf.check(); err != nil {
		return nil, err
	}
	ws := make([]*watcher, cf.n)
	cs := make([]*Client, cf.n)
	for i := range ws {
		ws[i] = &watcher{Client: newClient(cfg, cfg.First+i)}
		ws[i].self = []byte(ws[i].bare() + "/")
		cs[i] = ws[i].Client
	}
	defer closeAll(cs)
	if err := connectAll(cs, cfg.Conc, false); err != nil {
		return nil, err
	}
	// A client asks for its roster before it sends presence.
	err := forEach(cf.n, cfg.Conc, func(i int) error {
		n, err := cs[i].fetchBoth()
		if err == nil && n < cf.r {
			err = fmt.Errorf("%s has %d contacts, run rostersetup", cs[i].user, n)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, w := range ws {
		go w.loop(func(b []byte, k byte) {
			if k != kindPresence || len(attr(b, "type")) > 0 || bytes.HasPrefix(attr(b, "from"), w.self) {
				return
			}
			if ns, _, _, ok := readMark(b); ok {
				w.hist.Add(nowNS() - ns)
				w.upd.Add(1)
				return
			}
			w.first.Add(1)
		})
	}
	all := func(want int64, f func(*watcher) int64) func() bool {
		return func() bool {
			for _, w := range ws {
				if f(w) < want {
					return false
				}
			}
			return true
		}
	}
	sum := func(f func(*watcher) int64) (n float64) {
		for _, w := range ws {
			n += float64(f(w))
		}
		return
	}
	first := func(w *watcher) int64 { return w.first.Load() }
	upd := func(w *watcher) int64 { return w.upd.Load() }

	m := startMeter(cfg.PIDs)
	if err := forEach(cf.n, cfg.Conc, func(i int) error { return cs[i].send("<presence/>") }); err != nil {
		return nil, err
	}
	err = waitFor(*limit, all(int64(cf.r), first))
	u := m.Stop()
	if err != nil {
		return nil, fmt.Errorf("login storm, %v of %d presences: %w", sum(first), cf.n*cf.r, err)
	}
	n := float64(cf.n * cf.r) // what is due; a server may send some twice
	v := fmt.Sprintf("N=%d R=%d", cf.n, cf.r)
	par := map[string]any{"n": cf.n, "r": cf.r, "rounds": *rounds, "conc": cfg.Conc}
	res := []*Result{{
		Variant: v + " login",
		Params:  par,
		Fig: map[string]float64{
			"storm_s":         round3(u.Wall),
			"presences_s":     round3(per(n, u.Wall)),
			"cpu_us_presence": round3(per(1e6*u.Server, n)),
			"cpu_ms_user":     round3(per(1e3*u.Server, float64(cf.n))),
		},
		Env: u.env(),
	}}
	time.Sleep(time.Second)
	res[0].Fig["extra"] = sum(first) - float64(cf.n*cf.r)

	var mk [3 + 16 + 4 + 8]byte
	copy(mk[:], markTag)
	m = startMeter(cfg.PIDs)
	for r := 1; r <= *rounds; r++ {
		for i, c := range cs {
			putHex(mk[3:19], uint64(nowNS()))
			putHex(mk[19:23], uint64(i&0xffff))
			putHex(mk[23:], uint64(r))
			if err := c.send("<presence><show>away</show><status>" + string(mk[:]) + "</status></presence>"); err != nil {
				return res, err
			}
		}
		if err := waitFor(*limit, all(int64(cf.r*r), upd)); err != nil {
			return res, fmt.Errorf("updates, round %d: %w", r, err)
		}
	}
	u = m.Stop()
	n = float64(cf.n * cf.r * *rounds)
	h := &Hist{}
	for _, w := range ws {
		h.Merge(&w.hist)
	}
	fig := map[string]float64{
		"presences_s":     round3(per(n, u.Wall)),
		"cpu_us_presence": round3(per(1e6*u.Server, n)),
		"gen_cpu_per_sec": round3(per(u.Gen, u.Wall)),
	}
	h.Into(fig)
	res = append(res, &Result{Variant: v + " updates", Params: par, Fig: fig, Env: u.env()})
	return res, nil
}
