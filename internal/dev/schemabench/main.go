package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type settings struct {
	dir                                       string
	messages, group, owners, preload, bodyLen int
	soft, limit                               int64
	seed                                      uint64
}

func main() {
	var s settings
	flag.StringVar(&s.dir, "dir", "", "where the databases are written (default: a temporary directory)")
	flag.IntVar(&s.messages, "messages", 100_000, "messages to measure")
	flag.IntVar(&s.group, "group", 256, "messages in a transaction")
	flag.IntVar(&s.owners, "owners", 100, "people who write to each other")
	flag.IntVar(&s.preload, "preload", 0, "messages written before the measurement")
	flag.IntVar(&s.bodyLen, "body", 250, "bytes of a message")
	flag.Int64Var(&s.soft, "soft", 8<<20, "bytes of WAL after which a checkpoint begins")
	flag.Int64Var(&s.limit, "wal", 32<<20, "bytes of WAL after which the writer waits for its end")
	flag.Uint64Var(&s.seed, "seed", 1, "of the random draws")
	names := flag.String("layouts", "all", "layouts, comma-separated; \"backend\" is core/storage/sqlite itself")
	keys := flag.String("dedupe", "none", "dedupe variants, comma-separated")
	pages := flag.String("pages", "4096", "page sizes, comma-separated")
	flag.Parse()
	if err := measureAll(s, *names, *keys, *pages); err != nil {
		fmt.Fprintln(os.Stderr, "schemabench:", err)
		os.Exit(1)
	}
}

func measureAll(s settings, names, keys, pages string) error {
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "schemabench")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		s.dir = dir
	}
	fmt.Printf("%d messages of %d bytes for two archives each, groups of %d, %d owners, %d before\n", s.messages, s.bodyLen, s.group, s.owners, s.preload)
	fmt.Printf("%-16s %-12s %6s %18s %12s %12s\n", "layout", "dedupe", "page", "CPU s/100,000", "messages/s", "MB on disk")
	for _, l := range layouts() {
		if names != "all" && !listed(names, l.name) {
			continue
		}
		for _, k := range dedupes() {
			if !listed(keys, k.name) {
				continue
			}
			for p := range strings.SplitSeq(pages, ",") {
				page, err := strconv.Atoi(p)
				if err != nil {
					return err
				}
				if err := measure(s, l, k, page); err != nil {
					return err
				}
			}
		}
	}
	if names == "all" || listed(names, "backend") {
		return measureBackend(s)
	}
	return nil
}

func listed(list, name string) bool { return strings.Contains(","+list+",", ","+name+",") }

func measure(s settings, l layout, k dedupe, page int) error {
	schema := append(append([]string{}, l.schema...), k.schema...)
	d, err := create(s.dir, l.name+"-"+k.name+"-"+strconv.Itoa(page), page, schema)
	if err != nil {
		return err
	}
	defer d.remove()
	var writer sync.Mutex
	kick, err := d.checkpointer(page, s.soft, s.limit, &writer)
	if err != nil {
		return err
	}
	w := newWorkload(s)
	write := func(total, size int) {
		for written := 0; written < total; written += size {
			group := w.group(min(size, total-written))
			writer.Lock()
			d.exec("BEGIN IMMEDIATE")
			for i := range group {
				k.put(d, &group[i])
			}
			l.put(d, group)
			d.exec("COMMIT")
			writer.Unlock()
			kick()
		}
	}
	write(s.preload, 4096)
	cpu, start := cpuSeconds(), time.Now()
	write(s.messages, s.group)
	wall := time.Since(start)
	d.stop()
	used := cpuSeconds() - cpu
	report(s, l.name, k.name, page, used, wall, float64(d.size()))
	return nil
}

func report(s settings, layout, dedupe string, page int, cpu float64, wall time.Duration, bytes float64) {
	per := float64(s.messages) / 100_000
	fmt.Printf("%-16s %-12s %6d %18.2f %12.0f %12.1f\n", layout, dedupe, page, cpu/per, float64(s.messages)/wall.Seconds(), bytes/1e6)
}

type workload struct {
	s    settings
	rnd  *rand.Rand
	next int64
	buf  []message
}

func newWorkload(s settings) *workload {
	return &workload{s: s, rnd: rand.New(rand.NewPCG(s.seed, 2)), next: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli() << 20}
}

// group draws n messages between two different people each. Ids are consecutive, as in a busy second.
func (w *workload) group(n int) []message {
	w.buf = w.buf[:0]
	for range n {
		m := message{id: w.next, from: 1 + w.rnd.IntN(w.s.owners), to: 1 + w.rnd.IntN(w.s.owners), body: make([]byte, w.s.bodyLen), key: make([]byte, 16)}
		w.next++
		for i := range m.key {
			m.key[i] = byte(w.rnd.Uint32())
		}
		for i := range m.body {
			m.body[i] = 'a' + byte(i%26)
		}
		if m.from == m.to {
			m.to = m.to%w.s.owners + 1
		}
		w.buf = append(w.buf, m)
	}
	return w.buf
}

func cpuSeconds() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}
