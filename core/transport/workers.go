package transport

import "sync"

// maxIdleWorkers is how many goroutines wait for the next write; more end with theirs.
const maxIdleWorkers = 256

// workers run the writers of a server's connections. A new goroutine has a small stack, which crypto/tls and the socket make grow in several
// steps, each a copy: in a busy room that was a tenth of the server's time. One that has written before has the stack already. What is started
// runs at once, there is no queue.
type workers struct {
	mu      sync.Mutex
	idle    []*worker // the last to become idle is taken first
	stopped bool
	group   sync.WaitGroup
}

type worker struct{ next chan job }

// job is a goroutine of a connection.
type job struct {
	c *Conn
	f func()
}

// start runs f as c's. A nil workers begins a goroutine for it.
func (w *workers) start(c *Conn, f func()) {
	if w == nil {
		go c.run(f)
		return
	}
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		k := w.idle[n-1]
		w.idle[n-1] = nil
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		k.next <- job{c, f} // it holds one
		return
	}
	w.group.Add(1)
	w.mu.Unlock()
	go w.work(job{c, f})
}

func (w *workers) work(j job) {
	defer w.group.Done()
	k := &worker{next: make(chan job, 1)}
	for ok := true; ok; j, ok = <-k.next {
		j.c.run(j.f)
		j = job{} //nolint:wastedassign // it may wait for long and must not hold the connection meanwhile
		w.mu.Lock()
		if w.stopped || len(w.idle) >= maxIdleWorkers {
			w.mu.Unlock()
			return
		}
		w.idle = append(w.idle, k)
		w.mu.Unlock()
	}
}

// stop ends the idle ones and waits for the others. Nothing may be started any more.
func (w *workers) stop() {
	w.mu.Lock()
	w.stopped = true
	for _, k := range w.idle {
		close(k.next)
	}
	w.idle = nil
	w.mu.Unlock()
	w.group.Wait()
}
