package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// kcSender is the session of a sender in one round.
type kcSender struct {
	tx    *Client
	mu    sync.Mutex
	win   ackWindow
	write func(seq int) error
	rate  float64 // messages a second; 0: no limit
	began time.Time
}

// early tells whether the pace has not come to the next message.
func (s *kcSender) early() bool {
	return s.rate > 0 && float64(s.win.msgs) >= s.rate*time.Since(s.began).Seconds()
}

// fill sends until the window is full, the pace is kept or the session breaks.
// It is true if no answer is due that could open the window again.
func (s *kcSender) fill() (stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.win.full() {
		if s.early() {
			return false
		}
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

func (s *kcSender) askIfStuck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.win.asked == 0 && s.win.full() {
		_ = s.ask()
	}
}

// kcLoad is the load of one round.
type kcLoad struct {
	k         *killcheck
	senders   []*kcSender
	receivers []*Client // those that are logged in
	down      atomic.Bool
	wg        sync.WaitGroup
	early     chan error
}

// load sends until the server is killed at the given time, and tells what each
// sender had sent and what was acknowledged.
func (k *killcheck) load(round int, at time.Duration) ([]kcSent, error) {
	l := &kcLoad{k: k}
	var all []*Client
	for i := range k.pairs {
		s := &kcSender{tx: newClient(k.cfg, k.cfg.First+2*i), rate: k.rate}
		l.senders = append(l.senders, s)
		all = append(all, s.tx)
		if k.judge.online(i) {
			c := newClient(k.cfg, k.receiver(i))
			l.receivers = append(l.receivers, c)
			all = append(all, c)
		}
	}
	l.early = make(chan error, len(all))
	defer func() {
		for _, c := range all {
			if c.nc != nil {
				c.nc.Close()
			}
		}
	}()
	if err := connectAll(all, k.cfg.Conc, true); err != nil {
		return nil, err
	}
	for i, s := range l.senders {
		if err := l.prepare(s, i, round); err != nil {
			return nil, err
		}
	}
	l.run()
	time.Sleep(at)
	l.down.Store(true)
	if err := sh(k.kill); err != nil {
		return nil, err
	}
	return l.result()
}

// prepare asks for the count to begin with and says what the sender writes.
func (l *kcLoad) prepare(s *kcSender, i, round int) error {
	k := l.k
	h, off, err := s.tx.ackBase()
	if err != nil {
		return err
	}
	if off != 0 {
		k.hoff = off
	}
	s.win = ackWindow{base: h, size: k.window, every: k.acks}
	to := newClient(k.cfg, k.receiver(i)).bare()
	s.write = func(seq int) error {
		return s.tx.send("<message to='" + to + "' type='chat' id='" + kcKey{round, i, seq}.id(k.run) + "'>" + k.body)
	}
	return nil
}

// run begins to read and to send.
func (l *kcLoad) run() {
	for _, c := range l.receivers {
		l.read(c, func(b []byte, kind byte) {
			if kind == kindMessage {
				l.k.note(b, &l.k.live)
			}
		})
	}
	for _, s := range l.senders {
		s.began = time.Now()
		l.read(s.tx, func(b []byte, kind byte) { l.sender(s, b, kind) })
		s.fill()
		if s.rate > 0 {
			l.wg.Add(1)
			go l.pace(s)
		}
	}
}

// pace lets a sender go on when the time has come.
func (l *kcLoad) pace(s *kcSender) {
	defer l.wg.Done()
	for !l.down.Load() {
		time.Sleep(time.Duration(float64(time.Second) / s.rate))
		s.fill()
	}
}

func (l *kcLoad) read(c *Client, fn func([]byte, byte)) {
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		if err := c.loop(fn); !l.down.Load() {
			l.early <- fmt.Errorf("%s: session ended before the kill: %w", c.user, err)
		}
	}()
}

// sender takes in what comes to a sender.
func (l *kcLoad) sender(s *kcSender, b []byte, kind byte) {
	if kind == kindMessage && isError(b) {
		l.k.note(b, &l.k.errors)
	}
	if kind != kindAck {
		return
	}
	h, ok := ackH(b)
	s.mu.Lock()
	ok = ok && s.win.ack(h, nil)
	s.mu.Unlock()
	if !ok {
		l.k.badAcks.Add(1)
	}
	if s.fill() {
		time.AfterFunc(5*time.Millisecond, s.askIfStuck)
	}
}

// result waits until everything that the server had written is read.
func (l *kcLoad) result() ([]kcSent, error) {
	ended := make(chan struct{})
	go func() {
		l.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		return nil, fmt.Errorf("sessions are still open 10 s after -kill-cmd")
	}
	select {
	case err := <-l.early:
		return nil, err
	default:
	}
	out := make([]kcSent, len(l.senders))
	for i, s := range l.senders {
		s.mu.Lock()
		out[i] = kcSent{s.win.msgs, s.win.done}
		s.mu.Unlock()
	}
	return out, nil
}
