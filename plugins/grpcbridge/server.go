package grpcbridge

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// pushesAtATime bounds the files a plugin sends at once.
const pushesAtATime = 32

// server is the plugin's side: it serves one bridge to one host, once.
type server struct {
	pb.UnimplementedBridgeServer
	codec *codec
	local *sdk.Local
	log   *slog.Logger

	session *pluginSession
	calls   *pluginCalls
	signals *sdk.SignalQueue
	pushes  chan struct{}
	work    sync.WaitGroup

	mu         sync.Mutex
	opened     map[string]bool
	attached   chan struct{} // closed when all three streams are open
	media      *mediaClient
	web        *pluginHTTP
	publicURL  string
	httpSocket string
}

// streams are what the host opens, each once.
const (
	streamSession = "Session"
	streamSignals = "Signals"
	streamCalls   = "Calls"
)

func newServer(b sdk.Bridge, log *slog.Logger, window int) (*server, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	s := &server{
		codec: c, log: log, signals: sdk.NewSignalQueue(1024), pushes: make(chan struct{}, pushesAtATime),
		opened: map[string]bool{}, attached: make(chan struct{}),
	}
	s.local = sdk.NewLocal(b, sdk.LocalOptions{Window: window, Log: log})
	s.session = newPluginSession(c, s.local, log)
	s.calls = newPluginCalls(c, s.session.ctx.Done())
	return s, nil
}

// lost is closed when the host is gone.
func (s *server) lost() <-chan struct{} { return s.session.ctx.Done() }

// close ends everything; it waits for the bridge's calls.
func (s *server) close() {
	s.session.lose(sdk.ErrSessionLost)
	s.local.Close()
	s.mu.Lock()
	web, media := s.web, s.media
	s.mu.Unlock()
	if web != nil {
		web.close()
	}
	if media != nil {
		media.close()
	}
	s.work.Wait()
}

// attach notes that a stream was opened; each is opened once.
func (s *server) attach(stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened[stream] {
		return status.Errorf(codes.FailedPrecondition, "%s is open already", stream)
	}
	s.opened[stream] = true
	if len(s.opened) == 3 {
		close(s.attached)
	}
	return nil
}

// Session implements the durable lane.
func (s *server) Session(stream grpc.BidiStreamingServer[pb.HostFrame, pb.PluginFrame]) error {
	if err := s.attach(streamSession); err != nil {
		return err
	}
	return s.session.run(stream)
}

// Calls implements the lane of the plugin's requests.
func (s *server) Calls(stream grpc.BidiStreamingServer[pb.CallReply, pb.Call]) error {
	if err := s.attach(streamCalls); err != nil {
		return err
	}
	return s.calls.run(stream)
}

// Signals implements the lossy lane.
func (s *server) Signals(stream grpc.BidiStreamingServer[pb.SignalFrame, pb.SignalFrame]) error {
	if err := s.attach(streamSignals); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	var writer sync.WaitGroup
	defer writer.Wait()
	defer cancel()
	writer.Go(func() { pumpSignals(ctx, s.codec, s.signals, stream.Send) })
	return readSignals(s.codec, stream.Recv, s.local.Signal)
}

// Hello implements the first call.
func (s *server) Hello(_ context.Context, r *pb.HelloRequest) (*pb.HelloReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.media == nil && r.GetMediaSocket() != "" {
		s.media = newMediaClient(r.GetMediaSocket())
	}
	if s.web == nil && r.GetSocketDir() != "" && s.local.Can(sdk.AbilityHTTP) {
		web, err := newPluginHTTP(r.GetSocketDir(), s.gated(), s.log)
		if err != nil {
			return nil, status.Errorf(codes.Internal, "%v", err)
		}
		s.web, s.httpSocket = web, web.path
	}
	reply := &pb.HelloReply{Info: encode[pb.Info](s.codec, s.local.Info()), HttpSocket: s.httpSocket}
	for _, a := range sdkAbilities() {
		if s.local.Can(a) {
			reply.Abilities = append(reply.Abilities, string(a))
		}
	}
	return reply, nil
}

// gated serves the bridge's HTTP only while there is a host to confirm what it takes.
func (s *server) gated() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.lost():
			http.Error(w, "the server is away", http.StatusServiceUnavailable)
		default:
			s.local.ServeHTTP(w, r)
		}
	})
}

// Configure implements the call.
func (s *server) Configure(ctx context.Context, r *pb.Configuration) (*pb.Status, error) {
	c, err := decode[sdk.Configuration](s.codec, r)
	if err != nil {
		return &pb.Status{Error: toPBError(invalid(err))}, nil
	}
	s.mu.Lock()
	s.publicURL = c.PublicURL
	s.mu.Unlock()
	return &pb.Status{Error: toPBError(s.local.Configure(ctx, c))}, nil
}

// Start implements the call. It waits for the three streams.
func (s *server) Start(ctx context.Context, r *pb.Resume) (*pb.Status, error) {
	resume, err := decode[sdk.Resume](s.codec, r)
	if err != nil {
		return &pb.Status{Error: toPBError(invalid(err))}, nil
	}
	select {
	case <-s.attached:
	case <-ctx.Done():
		return nil, status.Error(codes.FailedPrecondition, "the streams are not open")
	}
	s.mu.Lock()
	host := &pluginHost{
		codec: s.codec, session: s.session, calls: s.calls, signals: s.signals, media: s.media,
		publicURL: s.publicURL, log: s.log.Handler(),
	}
	s.mu.Unlock()
	if host.media == nil {
		return nil, status.Error(codes.FailedPrecondition, "the host gave no media socket")
	}
	return &pb.Status{Error: toPBError(s.local.Start(ctx, host, resume))}, nil
}

// FetchMedia implements the call: the answer comes first, then the bytes.
func (s *server) FetchMedia(ctx context.Context, r *pb.FetchMediaRequest) (*pb.FetchMediaReply, error) {
	req, err := decode[sdk.MediaRequest](s.codec, r.GetRequest())
	if err != nil {
		return &pb.FetchMediaReply{Error: toPBError(invalid(err))}, nil
	}
	s.mu.Lock()
	media := s.media
	s.mu.Unlock()
	if media == nil {
		return nil, status.Error(codes.FailedPrecondition, "the host gave no media socket")
	}
	select {
	case s.pushes <- struct{}{}:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	// The file outlives this call; it ends with the session at the latest.
	fileCtx, cancel := context.WithCancel(s.session.ctx)
	content, err := s.local.FetchMedia(fileCtx, req)
	if err != nil {
		cancel()
		<-s.pushes
		return &pb.FetchMediaReply{Error: toPBError(err)}, nil
	}
	s.work.Go(func() {
		defer func() { cancel(); _ = content.Body.Close(); <-s.pushes }()
		if err := media.push(fileCtx, r.GetToken(), content); err != nil {
			s.log.Debug("file not sent", "error", err)
		}
	})
	head := &pb.MediaHead{Type: content.Type, Name: validUTF8(content.Name), Size: content.Size, Range: pbRange(content.Range)}
	return &pb.FetchMediaReply{Head: head}, nil
}

// FetchHistory implements the call.
func (s *server) FetchHistory(ctx context.Context, r *pb.HistoryRequest) (*pb.HistoryReply, error) {
	req, err := decode[sdk.HistoryRequest](s.codec, r)
	if err != nil {
		return &pb.HistoryReply{Error: toPBError(invalid(err))}, nil
	}
	page, err := s.local.FetchHistory(ctx, req)
	if err != nil {
		return &pb.HistoryReply{Error: toPBError(err)}, nil
	}
	reply := &pb.HistoryReply{Older: string(page.Older), Newer: string(page.Newer)}
	for _, e := range page.Events {
		m, err := s.codec.event(e)
		if err != nil {
			return &pb.HistoryReply{Error: toPBError(invalid(err))}, nil
		}
		reply.Events = append(reply.Events, m)
	}
	return reply, nil
}

// sdkAbilities are the abilities this version can carry.
func sdkAbilities() []sdk.Ability {
	return []sdk.Ability{
		sdk.AbilityEdit, sdk.AbilityRetract, sdk.AbilityReact, sdk.AbilityTopic, sdk.AbilityRoom, sdk.AbilityGhosts,
		sdk.AbilityProfile, sdk.AbilityInvite, sdk.AbilityModerate, sdk.AbilityTyping, sdk.AbilityPresence, sdk.AbilityRead,
		sdk.AbilitySearch, sdk.AbilityDM, sdk.AbilityCreate, sdk.AbilityHistory, sdk.AbilityMedia, sdk.AbilityWatch,
		sdk.AbilityLogin, sdk.AbilitySetup, sdk.AbilityHTTP,
	}
}

// pumpSignals sends what gathers in a queue; it ends with ctx or a broken stream.
func pumpSignals(ctx context.Context, c *codec, q *sdk.SignalQueue, send func(*pb.SignalFrame) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.Ready():
		}
		for signals := range slices.Chunk(q.Take(), 64) {
			f := &pb.SignalFrame{}
			for _, s := range signals {
				if m, ok := c.signal(s); ok {
					f.Signals = append(f.Signals, m)
				}
			}
			if send(f) != nil {
				return
			}
		}
	}
}

func readSignals(c *codec, recv func() (*pb.SignalFrame, error), put func(sdk.Signal)) error {
	for {
		f, err := recv()
		if err != nil {
			return err
		}
		for _, m := range f.GetSignals() {
			if s, ok := c.toSignal(m); ok {
				put(s)
			}
		}
	}
}
