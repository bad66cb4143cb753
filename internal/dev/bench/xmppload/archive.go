package main

import (
	"flag"
	"fmt"
	"time"
)

// runArchive fills the archives of two people with messages of one to the other
// and then reads one of them, page by page from its beginning to its end
// (XEP-0313, XEP-0059), as a client does that has nothing yet. The pages of the
// first tenth, the middle one and the last are told apart: they should cost the
// same. Then it asks for the newest page again and again, as a client does that opens
// a chat.
func runArchive(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	n := fs.Int("n", 50000, "messages in the archive")
	page := fs.Int("page", 50, "messages of a page")
	window := fs.Int("window", 200, "messages on the way while the archive is filled")
	size := fs.Int("size", 100, "body size in bytes")
	newest := fs.Int("newest", 200, "requests for the newest page")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	m := startMeter(cfg.PIDs)
	if err := fillArchive(cfg, *n, *window, *size); err != nil {
		return nil, err
	}
	fill := m.Stop()

	c := newClient(cfg, cfg.First+1)
	if err := connectAll([]*Client{c}, 1, false); err != nil {
		return nil, err
	}
	defer c.logout()
	var tenths [10]Hist
	found, after, pages := 0, "", 0
	m = startMeter(cfg.PIDs)
	for {
		began := time.Now()
		p, err := c.mamPage(pages, *page, "", after, func([]byte) {})
		if err != nil {
			return nil, err
		}
		tenths[min(found*10 / *n, 9)].Add(int64(time.Since(began)))
		found += p.got
		pages++
		if p.complete || p.got == 0 || p.last == "" {
			break
		}
		after = "<after>" + p.last + "</after>"
	}
	walk := m.Stop()
	if found < *n {
		return nil, fmt.Errorf("the archive has %d of %d messages", found, *n)
	}
	var last Hist
	m = startMeter(cfg.PIDs)
	for i := range *newest {
		began := time.Now()
		if _, err := c.mamPage(pages+i, *page, "", "<before/>", func([]byte) {}); err != nil {
			return nil, err
		}
		last.Add(int64(time.Since(began)))
	}
	again := m.Stop()

	r := &Result{Scenario: "archive", Params: map[string]any{"n": *n, "page": *page, "newest": *newest}, Env: walk.env(), Fig: map[string]float64{
		"fill_msgs_s":         round3(per(float64(*n), fill.Wall)),
		"fill_cpu_s_100k":     round3(per(fill.Server, float64(*n)) * 1e5),
		"pages_s":             round3(per(float64(pages), walk.Wall)),
		"cpu_ms_page":         round3(per(walk.Server, float64(pages)) * 1e3),
		"newest_cpu_ms_page":  round3(per(again.Server, float64(*newest)) * 1e3),
		"newest_p50_ms":       ms(last.Quantile(0.5)),
		"newest_p99_ms":       ms(last.Quantile(0.99)),
		"first_tenth_p50_ms":  ms(tenths[0].Quantile(0.5)),
		"first_tenth_p99_ms":  ms(tenths[0].Quantile(0.99)),
		"middle_tenth_p50_ms": ms(tenths[4].Quantile(0.5)),
		"middle_tenth_p99_ms": ms(tenths[4].Quantile(0.99)),
		"last_tenth_p50_ms":   ms(tenths[9].Quantile(0.5)),
		"last_tenth_p99_ms":   ms(tenths[9].Quantile(0.99)),
	}}
	return []*Result{r}, nil
}

// ms is a latency in nanoseconds as milliseconds.
func ms(ns uint64) float64 { return round3(float64(ns) / 1e6) }

// fillArchive sends n messages from the first user to the second, who is there
// and counts what comes, with at most window on the way.
func fillArchive(cfg *Config, n, window, size int) error {
	from, to := newClient(cfg, cfg.First), newClient(cfg, cfg.First+1)
	both := []*Client{from, to}
	if err := connectAll(both, 2, true); err != nil {
		closeAll(both)
		return err
	}
	defer closeAll(both)
	places := make(chan struct{}, window)
	broken := make(chan error, 2)
	go func() { broken <- from.loop(func([]byte, byte) {}) }()
	go func() {
		broken <- to.loop(func(_ []byte, kind byte) {
			if kind == kindMessage {
				<-places
			}
		})
	}()
	put := func() error {
		select {
		case places <- struct{}{}:
			return nil
		case err := <-broken:
			return fmt.Errorf("fill the archive: %w", err)
		case <-time.After(cfg.Timeout):
			return fmt.Errorf("fill the archive: nothing arrived for %s", cfg.Timeout)
		}
	}
	t := newTemplate(to.bare(), "chat", 0, size)
	for i := range n {
		if err := put(); err != nil {
			return err
		}
		if err := from.write(t.stamp(nowNS(), uint32(i))); err != nil {
			return err
		}
	}
	// All places can be taken once everything has arrived.
	for range window {
		if err := put(); err != nil {
			return err
		}
	}
	return nil
}
