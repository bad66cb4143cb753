package durability

import (
	"context"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

// TestKillOfRoomsNodesAndFiles kills the server 5 times while rooms, nodes and uploads are busy.
func TestKillOfRoomsNodesAndFiles(t *testing.T) { killServices(t, 5) }

// TestSoakKillOfRoomsNodesAndFiles kills it 200 times.
func TestSoakKillOfRoomsNodesAndFiles(t *testing.T) {
	if os.Getenv("VIADUCT_SOAK") == "" {
		t.Skip("a soak test: make soak")
	}
	rounds := 200
	if n, err := strconv.Atoi(os.Getenv("VIADUCT_SOAK_KILLS")); err == nil {
		rounds = n
	}
	killServices(t, rounds)
}

// services is a run with other things to keep than chat: two people in a room, one who publishes on the service and one who does on her account, two
// who upload, and one whose upload never ends. What writers send is acknowledged by <a/> and counted in acks, as in chat.
type services struct {
	*run
	publishers []*publisher
	uploaders  []*uploader
	halfway    *uploader

	published, uploaded atomic.Int64 // acknowledgements
	bodies              *bodies
}

func killServices(t *testing.T, rounds int) {
	s := newServices(t)
	for range rounds {
		s.round()
	}
	s.finish(rounds)
}

func newServices(t *testing.T) *services {
	s := &services{run: newRun(t)}
	s.site.Replace(t, "https: []", `https: ["127.0.0.1:0"]`)
	s.site.Replace(t, "data_dir: data\n", `data_dir: data
public_url: `+webURL+`
pubsub: {items: 10000000}
upload: {per_user_bytes: 1000 GiB, per_day_bytes: 1000 GiB, total_bytes: 1000 GiB}
`)
	s.publishers = []*publisher{{name: s.pairs[2].writer, to: "pubsub." + domain}, {name: s.pairs[3].writer}}
	s.uploaders = []*uploader{{name: s.pairs[0].reader}, {name: s.pairs[1].reader}}
	s.halfway = &uploader{name: s.pairs[2].reader}
	s.pairs = s.pairs[:2]
	for _, p := range s.pairs {
		p.room = room
	}
	s.bodies = newBodies(s.site)
	// The room and the node are made on a server that is killed, too.
	srv := s.site.Serve(t)
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	s.makeRoom(ctx, srv)
	s.makeNode(ctx, srv)
	srv.Kill(t)
	return s
}

// round loads the server until a random number of each kind is acknowledged, and kills it then.
func (s *services) round() {
	srv := s.site.Serve(s.t)
	s.bodies.check(s.t)
	said, published, uploaded := s.acks.Load()+20+s.rng.Int64N(200), s.published.Load()+5+s.rng.Int64N(60), s.uploaded.Load()+2+s.rng.Int64N(15)
	reached := make(chan struct{})
	var once sync.Once
	enough := func() {
		if s.acks.Load() >= said && s.published.Load() >= published && s.uploaded.Load() >= uploaded {
			once.Do(func() { close(reached) })
		}
	}
	var wg sync.WaitGroup
	for _, p := range s.pairs {
		wg.Go(func() { s.write(p, srv.C2STLS, enough) })
	}
	for _, p := range s.publishers {
		wg.Go(func() { s.publish(p, srv.C2STLS, enough) })
	}
	web := s.web(srv)
	begun := make(chan struct{})
	wg.Go(func() { s.hang(s.halfway, srv.C2STLS, web, begun) })
	for _, u := range s.uploaders {
		wg.Go(func() {
			<-begun
			s.upload(u, srv.C2STLS, web, enough)
		})
	}
	s.await(reached, srv)
	srv.Kill(s.t)
	wg.Wait()
	web.CloseIdleConnections()
	s.bodies.countUnfinished(s.t)
}

// finish starts the server once more, unharmed, and judges what it has.
func (s *services) finish(rounds int) {
	srv := s.site.Serve(s.t)
	s.bodies.check(s.t)
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	s.judgeRoom(ctx, srv)
	for _, p := range s.publishers {
		s.judgeNode(ctx, srv, p)
	}
	s.judgeFiles(ctx, srv)
	s.t.Logf("%d kills; %d sessions learned their h after one", rounds, s.resumed.Load())
	if s.acks.Load() < int64(20*rounds) || s.published.Load() < int64(5*rounds) || s.uploaded.Load() < int64(2*rounds) {
		s.t.Error("too little was acknowledged to prove anything")
	}
	if code := srv.Stop(s.t); code != 0 {
		s.t.Errorf("exit status %d\n%s", code, srv.Log())
	}
}

// login is a client for requests.
func (s *services) login(ctx context.Context, srv *programtest.Server, name string) *Client {
	s.t.Helper()
	c, _, err := Dial(ctx, srv.C2STLS, name, domain, password, "q", "", 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}
