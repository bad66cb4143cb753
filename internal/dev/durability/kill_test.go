package durability

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

var bin string

func TestMain(m *testing.M) {
	if isPlugin() {
		servePlugin()
		return
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, cleanup, err := programtest.Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cleanup()
	bin = dir
	return m.Run()
}

const (
	domain   = "v.test"
	password = "correct horse battery"
	pairs    = 4
	window   = 20
)

// patience is after how long a test that waits for something fails. Nothing is measured by it.
const patience = 2 * time.Minute

// pair is one who writes and one who reads.
type pair struct {
	n      int
	writer string
	reader string
	room   string // in which the writer speaks; "": with the reader

	next    int      // number of the next new message
	session []string // what was sent in the last session, in order
	settled int      // how many of these are acknowledged
	rest    []string // what was to be sent again and was not even sent
	acked   []string
	refused map[string]bool // came back with an error: the reader's list was full
	smid    string

	got map[string]map[string]bool // body -> stanza ids
	seq []string                   // bodies in the order of their first arrival
}

func body(writer string, n int) string { return fmt.Sprintf("%s-%06d", writer, n) }

// run is one test: the server and the pairs.
type run struct {
	t       *testing.T
	ctx     context.Context
	site    *programtest.Site
	rng     *rand.Rand
	pairs   []*pair
	acks    atomic.Int64
	resumed atomic.Int64
}

func newRun(t *testing.T) *run {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("VIADUCT_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("seed %d (VIADUCT_SEED repeats the moments)", seed)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r := &run{t: t, ctx: ctx, site: programtest.Place(t, bin, "limits: {off: true}\nlog: {level: warn}\n"), rng: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // moments of a test
	for i := range pairs {
		p := &pair{n: i, writer: fmt.Sprintf("w%d", i), reader: fmt.Sprintf("r%d", i), got: map[string]map[string]bool{}, refused: map[string]bool{}}
		r.pairs = append(r.pairs, p)
		for _, u := range []string{p.writer, p.reader} {
			if _, errs, code := r.site.Run(t, password+"\n", "user", "add", u+"@"+domain, "--password-file", "-"); code != 0 {
				t.Fatal(errs)
			}
		}
	}
	return r
}

// TestKillUnderLoad kills the server 20 times.
func TestKillUnderLoad(t *testing.T) { killRounds(t, 20) }

// TestSoakKill kills it 1,000 times.
func TestSoakKill(t *testing.T) {
	if os.Getenv("VIADUCT_SOAK") == "" {
		t.Skip("a soak test: make soak")
	}
	rounds := 1000
	if n, err := strconv.Atoi(os.Getenv("VIADUCT_SOAK_KILLS")); err == nil {
		rounds = n
	}
	killRounds(t, rounds)
}

func killRounds(t *testing.T, rounds int) {
	r := newRun(t)
	for round := range rounds {
		r.round(round)
	}
	r.last()
	r.judge(rounds)
}

// round lets the pairs write until a random number of acknowledgements, and kills the server then. Half of the readers are there, the others in the
// next round.
func (r *run) round(round int) {
	srv := r.site.Serve(r.t)
	kill := r.acks.Load() + 20 + r.rng.Int64N(400)
	reached := make(chan struct{})
	var once sync.Once
	enough := func() {
		if r.acks.Load() >= kill {
			once.Do(func() { close(reached) })
		}
	}
	var wg sync.WaitGroup
	for _, p := range r.pairs {
		wg.Go(func() { r.write(p, srv.C2STLS, enough) })
		if (p.n+round)%2 == 0 {
			wg.Go(func() { r.readUntilKilled(p, srv.C2STLS) })
		}
	}
	r.await(reached, srv)
	srv.Kill(r.t)
	wg.Wait()
}

func (r *run) await(ch <-chan struct{}, srv *programtest.Server) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ch:
	case <-timer.C:
		srv.Kill(r.t)
		r.t.Fatalf("the server did not acknowledge: %d acknowledgements so far\n%s", r.acks.Load(), srv.Log())
	}
}

// write sends what is not acknowledged, with the same origin-ids, and then new messages, at most window unacknowledged, until the connection ends.
func (r *run) write(p *pair, addr string, progress func()) {
	c, h, err := Dial(r.ctx, addr, p.writer, domain, password, "w", p.smid, 0)
	if err != nil {
		return // killed while logging in
	}
	again := r.back(p, c, h)
	sent := 0
	defer func() {
		c.Ended(r.ctx)
		p.session, p.settled, p.rest = c.sent, 0, again[min(sent, len(again)):]
		maps.Copy(p.refused, c.refused)
		p.settle(r.t, c.acked)
	}()
	if p.enter(r.ctx, c) != nil {
		return
	}
	counted := 0
	for ; ; sent++ {
		var b string
		if sent < len(again) {
			b = again[sent]
		} else {
			b = body(p.writer, p.next)
			p.next++
		}
		xml := p.message(b)
		if sent%5 == 4 {
			xml += "<r xmlns='urn:xmpp:sm:3'/>"
		}
		if c.Send(xml, b) != nil {
			sent++
			return
		}
		acked := 0
		err := c.Wait(r.ctx, func() bool { acked = c.acked; return len(c.sent)-c.acked < window })
		r.acks.Add(int64(acked - counted))
		counted = acked
		progress()
		if err != nil {
			sent++
			return
		}
	}
}

// message is the stanza of a body.
func (p *pair) message(b string) string {
	to, kind := p.reader+"@"+domain, "chat"
	if p.room != "" {
		to, kind = p.room, "groupchat"
	}
	return fmt.Sprintf("<message to='%s' type='%s' id='%s'><origin-id xmlns='urn:xmpp:sid:0' id='%s'/><body>%s</body></message>", to, kind, b, b, b)
}

// back takes down what a new session was told of the last one, and returns what is to be sent again.
func (r *run) back(p *pair, c *Client, h int64) []string {
	if h >= 0 {
		r.resumed.Add(1)
		p.settle(r.t, int(h))
	}
	p.smid = c.SMID
	return slices.DeleteFunc(slices.Concat(p.session[p.settled:], p.rest), func(b string) bool { return b == "" })
}

// settle notes that the first h messages of the last session are acknowledged.
func (p *pair) settle(t *testing.T, h int) {
	if h < p.settled || h > len(p.session) {
		t.Errorf("%s: h=%d after %d of %d were acknowledged", p.writer, h, p.settled, len(p.session))
		return
	}
	for _, b := range p.session[p.settled:h] {
		if b != "" { // what is no message
			p.acked = append(p.acked, b)
		}
	}
	p.settled = h
}

// readUntilKilled logs the reader in and takes what comes until the connection ends.
func (r *run) readUntilKilled(p *pair, addr string) {
	c, _, err := Dial(r.ctx, addr, p.reader, domain, password, "r", "", 0)
	if err != nil {
		return
	}
	if c.Send("<presence/>") == nil {
		c.Ended(r.ctx)
	}
	p.note(c)
}

// note takes down what a reader got.
func (p *pair) note(c *Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.got {
		if g.From != p.writer {
			continue
		}
		if p.got[g.Body] == nil {
			p.got[g.Body] = map[string]bool{}
			p.seq = append(p.seq, g.Body)
		}
		p.got[g.Body][g.StanzaID] = true
	}
}

// last starts the server once more, unharmed: writers get the rest acknowledged, readers read what is left.
func (r *run) last() {
	srv := r.site.Serve(r.t)
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	for _, p := range r.pairs {
		reader, _, err := Dial(ctx, srv.C2STLS, p.reader, domain, password, "r", "", 0)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := reader.Send("<presence/>"); err != nil {
			r.t.Fatal(err)
		}
		if err := reader.Wait(ctx, func() bool { return reader.in > 0 }); err != nil { // it is there: nothing more is refused
			r.t.Fatal(err)
		}
		c, final := r.rest(ctx, srv, p)
		maps.Copy(p.refused, c.refused)
		err = reader.Wait(ctx, func() bool { return slices.ContainsFunc(reader.got, func(g Got) bool { return g.Body == final }) })
		p.note(reader)
		if err != nil {
			r.t.Fatalf("%s did not get the last message: %v; it got %d, at last %v; refused %d\n%s", p.reader, err, len(reader.got), reader.got[max(0, len(reader.got)-3):], len(c.refused), srv.Log())
		}
		delete(p.got, final)
		p.seq = slices.DeleteFunc(p.seq, func(b string) bool { return b == final })
		c.Close()
		reader.Close()
	}
	if code := srv.Stop(r.t); code != 0 {
		r.t.Errorf("exit status %d\n%s", code, srv.Log())
	}
}

// rest has the writer get acknowledged what is not yet, and a last message after it.
func (r *run) rest(ctx context.Context, srv *programtest.Server, p *pair) (c *Client, final string) {
	c, h, err := Dial(ctx, srv.C2STLS, p.writer, domain, password, "w", p.smid, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	again := r.back(p, c, h)
	if err := p.enter(ctx, c); err != nil {
		r.t.Fatal(err)
	}
	for _, b := range again {
		if err := c.Send(p.message(b), b); err != nil {
			r.t.Fatal(err)
		}
	}
	final = "final-" + p.writer
	if err := c.Send(p.message(final)+"<r xmlns='urn:xmpp:sm:3'/>", final); err != nil {
		r.t.Fatal(err)
	}
	if err := c.Wait(ctx, func() bool { return c.acked == len(c.sent) }); err != nil {
		r.t.Fatalf("%s: the rest was not acknowledged: %v", p.writer, err)
	}
	p.acked = append(p.acked, again...)
	return c, final
}

// judge compares what was promised with what was got.
func (r *run) judge(rounds int) {
	total, lost, doubled, disorder, again, refused := 0, 0, 0, 0, 0, 0
	for _, p := range r.pairs {
		refused += len(p.refused)
		for _, b := range p.acked {
			total++
			if len(p.got[b]) == 0 && !p.refused[b] {
				lost++
				r.t.Errorf("lost: %s was acknowledged and never arrived", b)
			}
		}
		for b, ids := range p.got {
			if len(ids) > 1 {
				doubled++
				r.t.Errorf("doubled: %s arrived as %d messages", b, len(ids))
			}
		}
		for i := 1; i < len(p.seq); i++ {
			if p.seq[i] < p.seq[i-1] {
				disorder++
				r.t.Errorf("order: %s arrived after %s", p.seq[i], p.seq[i-1])
			}
		}
		again += len(p.got)
	}
	r.t.Logf("%d kills, %d messages acknowledged, %d arrived, %d came back, %d lost, %d doubled, %d out of order; %d sessions learned their h after a kill",
		rounds, total, again, refused, lost, doubled, disorder, r.resumed.Load())
	if refused > 0 {
		r.t.Errorf("%d came back as errors", refused)
	}
	if total < 20*rounds {
		r.t.Errorf("only %d acknowledgements in %d rounds: that proves little", total, rounds)
	}
	if r.resumed.Load() == 0 && rounds > 1 {
		r.t.Error("no session learned its h after a kill")
	}
}
