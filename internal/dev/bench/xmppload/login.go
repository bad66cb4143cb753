package main

import (
	"bytes"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

func runRegister(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	n := fs.Int("n", 100, "accounts to create")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	var made, had atomic.Int64
	m := startMeter(cfg.PIDs)
	err := forEach(*n, cfg.Conc, func(i int) error {
		c := newClient(cfg, cfg.First+i)
		ok, err := c.register()
		if err != nil {
			return fmt.Errorf("%s: %w", c.user, err)
		}
		if ok {
			made.Add(1)
		} else {
			had.Add(1)
		}
		return nil
	})
	u := m.Stop()
	return []*Result{{
		Params: map[string]any{"n": *n, "conc": cfg.Conc},
		Fig: map[string]float64{
			"created": float64(made.Load()), "existed": float64(had.Load()),
			"accounts_s":     round3(per(float64(made.Load()), u.Wall)),
			"cpu_ms_account": round3(per(1000*u.Server, float64(made.Load()))),
		},
		Env: u.env(),
	}}, err
}

// register creates the account of c; false means that it was there already.
func (c *Client) register() (bool, error) {
	if err := c.secure(nil); err != nil {
		if c.nc != nil {
			c.nc.Close()
		}
		return false, err
	}
	defer c.logout()
	if _, err := c.features(); err != nil {
		return false, err
	}
	err := c.send("<iq type='set' id='reg' to='" + c.domain + "'><query xmlns='jabber:iq:register'><username>" +
		c.user + "</username><password>" + c.cfg.Password + "</password></query></iq>")
	if err != nil {
		return false, err
	}
	b, _, err := c.next()
	if err != nil {
		return false, err
	}
	switch {
	case bytes.HasPrefix(b, []byte("<iq")) && string(attr(b, "type")) == "result":
		return true, nil
	case bytes.Contains(b, []byte("conflict")):
		return false, nil
	}
	return false, fmt.Errorf("registration: %.300s", b)
}

func runLogin(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	n := fs.Int("n", 2000, "logins to measure")
	nusers := fs.Int("nusers", 500, "users to take turns")
	warm := fs.Int("warm", -1, "logins before the measurement; -1: one for each user")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	if *nusers < 2*cfg.Conc {
		return nil, fmt.Errorf("-nusers must be at least twice -conc")
	}
	if *warm < 0 {
		*warm = *nusers
	}
	var mu sync.Mutex
	h := &Hist{}
	var sum Stages
	var suite string
	var failed int
	var outs sync.WaitGroup
	one := func(i int, count bool) error {
		c := newClient(cfg, cfg.First+i%*nusers)
		st, err := c.connect(true)
		if err != nil {
			mu.Lock()
			failed++
			bad := failed > 10+*n/100
			mu.Unlock()
			if bad {
				return fmt.Errorf("too many failed logins, the last: %s: %w", c.user, err)
			}
			return nil
		}
		// A server may take its time to close; that is not login time.
		outs.Add(1)
		go func() {
			defer outs.Done()
			c.logout()
		}()
		mu.Lock()
		suite = c.suite
		if count {
			h.Add(int64(st.Total))
			sum.Connect += st.Connect
			sum.TLS += st.TLS
			sum.Auth += st.Auth
			sum.Bind += st.Bind
		}
		mu.Unlock()
		return nil
	}
	if err := forEach(*warm, cfg.Conc, func(i int) error { return one(i, false) }); err != nil {
		return nil, err
	}
	outs.Wait()
	failed = 0
	m := startMeter(cfg.PIDs)
	err := forEach(*n, cfg.Conc, func(i int) error { return one(i, true) })
	wall := time.Since(m.t0).Seconds()
	outs.Wait()
	u := m.Stop()
	done := float64(h.n)
	fig := map[string]float64{
		"logins_s":           round3(per(done, wall)),
		"cpu_ms_login":       round3(per(1000*u.Server, done)),
		"gen_cpu_ms_login":   round3(per(1000*u.Gen, done)),
		"failed":             float64(failed),
		"mean_tcp_ms":        round3(per(float64(sum.Connect)/1e6, done)),
		"mean_tls_ms":        round3(per(float64(sum.TLS)/1e6, done)),
		"mean_sasl_ms":       round3(per(float64(sum.Auth)/1e6, done)),
		"mean_bind_etc_ms":   round3(per(float64(sum.Bind)/1e6, done)),
		"server_cpu_per_sec": round3(per(u.Server, u.Wall)),
	}
	h.Into(fig)
	return []*Result{{
		Params: map[string]any{"n": *n, "nusers": *nusers, "conc": cfg.Conc, "suite": suite, "sm": cfg.SM,
			"carbons": cfg.Carbons, "roster": cfg.Roster},
		Fig: fig, Env: u.env(),
	}}, err
}

func runIdle(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	n := fs.Int("n", 2000, "sessions to hold")
	settle := fs.Duration("settle", 10*time.Second, "pause before memory is read")
	watch := fs.Duration("watch", 30*time.Second, "how long to watch the idle sessions")
	presence := fs.Bool("presence", true, "send initial presence")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	rss0, pss0 := treeMem(cfg.PIDs)
	m := startMeter(cfg.PIDs)
	cs := make([]*Client, *n)
	for i := range cs {
		cs[i] = newClient(cfg, cfg.First+i)
	}
	var lost atomic.Int64
	var closing atomic.Bool
	err := forEach(len(cs), cfg.Conc, func(i int) error {
		if err := connectAll(cs[i:i+1], 1, *presence); err != nil {
			return err
		}
		go func() {
			if cs[i].loop(func([]byte, byte) {}) != nil && !closing.Load() {
				lost.Add(1)
			}
		}()
		return nil
	})
	up := m.Stop()
	defer func() {
		closing.Store(true)
		closeAll(cs)
	}()
	if err != nil {
		return nil, err
	}
	rssPeak, _ := treeMem(cfg.PIDs)
	time.Sleep(*settle)
	m = startMeter(cfg.PIDs)
	time.Sleep(*watch)
	u := m.Stop()
	rss1, pss1 := treeMem(cfg.PIDs)
	nn := float64(*n)
	env := u.env()
	return []*Result{{
		Variant: fmt.Sprintf("n=%d", *n),
		Params: map[string]any{"n": *n, "conc": cfg.Conc, "sm": cfg.SM, "carbons": cfg.Carbons, "csi": cfg.CSI,
			"roster": cfg.Roster, "settle": settle.String(), "watch": watch.String()},
		Fig: map[string]float64{
			"rss_kib_conn":    round3((rss1 - rss0) / nn),
			"pss_kib_conn":    round3((pss1 - pss0) / nn),
			"rss_base_mib":    round3(rss0 / 1024),
			"rss_loaded_mib":  round3(rss1 / 1024),
			"rss_at_ramp_mib": round3(rssPeak / 1024),
			"idle_cpu_pct":    round3(100 * per(u.Server, u.Wall)),
			"ramp_logins_s":   round3(per(nn, up.Wall)),
			"ramp_cpu_ms":     round3(per(1000*up.Server, nn)),
			"lost":            float64(lost.Load()),
		},
		Env: env,
	}}, nil
}
