package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// killcheck kills the server while messages are sent, starts it again and looks
// whether those that it had acknowledged (XEP-0198) are still there: in the
// receivers' archives, or in what waits for receivers who were away.
type killcheck struct {
	cfg             *Config
	run             string // part of each message's id, different each time
	pairs           int
	window, acks    int
	rate            float64 // messages a second for each sender; 0: as the windows allow
	body            string
	kill, start     string
	judge           kcJudge
	sent            [][]kcSent
	restart         time.Duration
	hoff            int
	live, offline   atomic.Int64
	badAcks, errors atomic.Int64

	mu     sync.Mutex
	direct map[kcKey]bool // what receivers got other than from the archive, or senders got back as an error
}

// kcJudge finds out what is left of the messages.
type kcJudge interface {
	// online tells whether the receiver of a pair is logged in while messages are sent.
	online(pair int) bool
	// round judges round r, which began at the given time; the server runs again.
	round(r int, began time.Time) (kcTally, error)
	// end judges all rounds together.
	end() (kcTally, error)
	// figures adds what only this judge knows.
	figures(t kcTally, fig map[string]float64)
}

func (k *killcheck) receiver(pair int) int { return k.cfg.First + 2*pair + 1 }

func (*killcheck) say(format string, a ...any) {
	fmt.Fprintf(os.Stderr, "xmppload: killcheck: "+format+"\n", a...)
}

// sayLost names the first ten lost messages.
func (k *killcheck) sayLost() func(kcKey) {
	shown := 0
	return func(m kcKey) {
		if shown++; shown <= 10 {
			k.say("lost: %s to %s", m.id(k.run), newClient(k.cfg, k.receiver(m.pair)).bare())
		}
	}
}

// note takes down a message of this run that came directly or as an error.
func (k *killcheck) note(b []byte, n *atomic.Int64) {
	if m, ok := parseKC(k.run, attr(b, "id")); ok {
		n.Add(1)
		k.mu.Lock()
		k.direct[m] = true
		k.mu.Unlock()
	}
}

func (k *killcheck) tally(from, to int, found map[kcKey]int, lost func(kcKey)) kcTally {
	k.mu.Lock()
	defer k.mu.Unlock()
	return tally(k.sent, from, to, found, k.direct, lost)
}

// quiet reads on until nothing has come for a while.
func (c *Client) quiet(d time.Duration) {
	for {
		_ = c.nc.SetReadDeadline(time.Now().Add(d))
		b, kind, err := c.next()
		if err != nil {
			return
		}
		c.onUnit(b, kind)
	}
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
	k := &killcheck{cfg: cfg, run: strconv.FormatInt(time.Now().UnixNano(), 36), direct: map[kcKey]bool{}}
	rounds := fs.Int("rounds", 5, "times to kill the server")
	fs.IntVar(&k.pairs, "pairs", 10, "senders, each with a receiver of its own")
	fs.IntVar(&k.window, "window", 20, "messages on the way for each sender")
	fs.IntVar(&k.acks, "acks", 5, "messages between two requests for an acknowledgement")
	fs.Float64Var(&k.rate, "rate", 0, "messages a second for each sender; 0: as fast as the windows allow, 400 for the judge offline (servers bound what waits for one account)")
	size := fs.Int("size", 100, "body size in bytes")
	earliest := fs.Duration("min", 200*time.Millisecond, "the kill is at a random moment from here")
	latest := fs.Duration("max", 2*time.Second, "to here after the first message")
	seed := fs.Int64("seed", 0, "seed of the random moments; 0: a new one")
	fs.StringVar(&k.kill, "kill-cmd", "", "shell command that kills the server with SIGKILL; required")
	fs.StringVar(&k.start, "start-cmd", "", "shell command that starts it and returns when it answers; required")
	judge := fs.String("judge", "archive", "archive: acknowledged messages must be in the receivers' archives, every second receiver is logged in; "+
		"offline: all receivers are away, and get the messages when they log in after the restart")
	page := fs.Int("page", 100, "archive results to ask for at a time")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	if k.kill == "" || k.start == "" || *latest < *earliest || k.pairs < 1 || k.window < 1 || k.acks < 1 || k.rate < 0 {
		return nil, fmt.Errorf("killcheck needs -kill-cmd and -start-cmd, and -min up to -max")
	}
	switch *judge {
	case "archive":
		k.judge = &archiveJudge{k: k, page: *page}
	case "offline":
		k.judge = newOfflineJudge(k)
		if k.rate == 0 {
			k.rate = 400
		}
	default:
		return nil, fmt.Errorf("-judge is archive or offline, not %q", *judge)
	}
	cfg.SM = true
	if *seed == 0 {
		*seed = time.Now().UnixNano() & 0x7fffffff
	}
	k.say("seed %d", *seed)
	k.body = "<body>" + strings.Repeat("x", *size) + "</body></message>"
	rnd := rand.New(rand.NewPCG(uint64(*seed), 0))
	t, done, err := k.rounds(*rounds, func() time.Duration { return *earliest + time.Duration(rnd.Int64N(int64(*latest-*earliest)+1)) })
	if err != nil {
		err = fmt.Errorf("after %d rounds, seed %d: %w", done, *seed, err)
	}
	fig := map[string]float64{
		"rounds_done": float64(done), "sent": float64(t.sent), "acked": float64(t.acked), "lost": float64(t.lost),
		"doubled": float64(t.doubled), "unacked_found": float64(t.unackedFound),
		"received_live": float64(k.live.Load()), "received_offline": float64(k.offline.Load()),
		"errors": float64(k.errors.Load()), "bad_acks": float64(k.badAcks.Load()), "h_offset": float64(k.hoff),
		"restart_s": round3(per(k.restart.Seconds(), float64(done))),
	}
	k.judge.figures(t, fig)
	return []*Result{{
		Variant: fmt.Sprintf("%s P=%d W=%d acks=%d", *judge, k.pairs, k.window, k.acks),
		Params: map[string]any{"seed": *seed, "rounds": *rounds, "pairs": k.pairs, "window": k.window, "acks": k.acks, "size": *size,
			"min": earliest.String(), "max": latest.String(), "judge": *judge, "rate": k.rate},
		Fig: fig,
	}}, err
}

// rounds kills and judges, and judges everything at the end. done counts the
// rounds that were judged.
func (k *killcheck) rounds(n int, moment func() time.Duration) (t kcTally, done int, err error) {
	if b, ok := k.judge.(interface{ begin() error }); ok {
		if err := b.begin(); err != nil {
			return t, 0, err
		}
	}
	for r := range n {
		began := time.Now().Add(-2 * time.Second) // archives may round
		at := moment()
		s, err := k.load(r, at)
		if err != nil {
			return t, done, err
		}
		k.sent = append(k.sent, s)
		t0 := time.Now()
		if err := sh(k.start); err != nil {
			return t, done, err
		}
		k.restart += time.Since(t0)
		x, err := k.judge.round(r, began)
		if err != nil {
			return t, done, err
		}
		k.say("round %d: killed after %v: sent %d, acked %d, lost %d, doubled %d, unacked_found %d",
			r+1, at.Round(time.Millisecond), x.sent, x.acked, x.lost, x.doubled, x.unackedFound)
		t.add(x)
		done++
	}
	all, err := k.judge.end()
	if err != nil {
		return t, done, err
	}
	return all, done, nil
}
