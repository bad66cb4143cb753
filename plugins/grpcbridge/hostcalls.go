package grpcbridge

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// callsAtATime bounds the requests of one plugin that are worked on; more wait
// in the plugin.
const callsAtATime = 64

// hostCalls is the host's end of the lane for the plugin's requests: a goroutine
// for each request under way, one that writes the answers.
type hostCalls struct {
	codec *codec
	host  sdk.Host
	media *mediaServer
	log   *slog.Logger
	bell  bell
	table map[reflect.Type]func(context.Context, *pb.Call, *pb.CallReply) error

	mu      sync.Mutex
	replies []*pb.CallReply // bounded by callsAtATime
}

func newHostCalls(c *codec, host sdk.Host, media *mediaServer, log *slog.Logger) *hostCalls {
	h := &hostCalls{codec: c, host: host, media: media, log: log, bell: newBell()}
	h.table = map[reflect.Type]func(context.Context, *pb.Call, *pb.CallReply) error{
		reflect.TypeFor[*pb.Call_StateGet]():     h.stateGet,
		reflect.TypeFor[*pb.Call_StatePut]():     h.statePut,
		reflect.TypeFor[*pb.Call_StateDelete]():  h.stateDelete,
		reflect.TypeFor[*pb.Call_StateList]():    h.stateList,
		reflect.TypeFor[*pb.Call_Capabilities](): h.capabilities,
		reflect.TypeFor[*pb.Call_Login]():        h.login,
		reflect.TypeFor[*pb.Call_Person]():       h.person,
		reflect.TypeFor[*pb.Call_Room]():         h.room,
		reflect.TypeFor[*pb.Call_Upload]():       h.upload,
		reflect.TypeFor[*pb.Call_Open]():         h.open,
	}
	return h
}

func (h *hostCalls) run(ctx context.Context, stream grpc.BidiStreamingClient[pb.CallReply, pb.Call]) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { _ = pump(ctx, h.bell, h.next, stream.Send) })
	slots := make(chan struct{}, callsAtATime)
	for {
		c, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		work.Go(func() {
			reply := h.answer(ctx, c)
			h.mu.Lock()
			h.replies = append(h.replies, reply)
			h.mu.Unlock()
			<-slots
			h.bell.ring()
		})
	}
}

func (h *hostCalls) next() (*pb.CallReply, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.replies) == 0 {
		return nil, false
	}
	r := h.replies[0]
	h.replies = h.replies[1:]
	return r, true
}

func (h *hostCalls) answer(ctx context.Context, c *pb.Call) (reply *pb.CallReply) {
	reply = &pb.CallReply{Id: c.GetId()}
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("request of a plugin panicked", "panic", p, "stack", string(debug.Stack()))
			reply = &pb.CallReply{Id: c.GetId(), Error: &pb.Error{Text: "the server failed"}}
		}
	}()
	f := h.table[reflect.TypeOf(c.GetRequest())]
	if f == nil {
		reply.Error = toPBError(sdk.Unsupported("this request"))
		return reply
	}
	ctx, cancel := context.WithTimeout(ctx, min(cmpOr(micros(c.GetTimeout()), defaultTimeout), 10*time.Minute))
	defer cancel()
	if err := f(ctx, c, reply); err != nil {
		reply.Reply = nil
		reply.Error = toPBError(err)
	}
	return reply
}

// Bounds of the state service, as sdk.State says.
const (
	maxStateKey   = 512
	maxStateValue = 1 << 20
	maxStateList  = 1000
)

func checkKey(key string) error {
	if key == "" || len(key) > maxStateKey {
		return sdk.Refuse(sdk.CodeInvalid, "a key has 1 to %d bytes", maxStateKey)
	}
	return nil
}

func (h *hostCalls) stateGet(ctx context.Context, c *pb.Call, r *pb.CallReply) error {
	key := c.GetStateGet().GetKey()
	if err := checkKey(key); err != nil {
		return err
	}
	e, err := h.host.State().Get(ctx, key)
	if err != nil {
		return err
	}
	r.Reply = &pb.CallReply_Entry{Entry: encode[pb.Entry](h.codec, e)}
	return nil
}

func (h *hostCalls) statePut(ctx context.Context, c *pb.Call, r *pb.CallReply) error {
	put := c.GetStatePut()
	if err := checkKey(put.GetKey()); err != nil {
		return err
	}
	if len(put.GetValue()) > maxStateValue {
		return sdk.Refuse(sdk.CodeTooBig, "a value has at most %d bytes", maxStateValue)
	}
	rev, err := h.host.State().Put(ctx, put.GetKey(), put.GetValue(), sdk.Revision(put.GetExpect()))
	if err != nil {
		return err
	}
	r.Reply = &pb.CallReply_Revision{Revision: uint64(rev)}
	return nil
}

func (h *hostCalls) stateDelete(ctx context.Context, c *pb.Call, _ *pb.CallReply) error {
	del := c.GetStateDelete()
	if err := checkKey(del.GetKey()); err != nil {
		return err
	}
	return h.host.State().Delete(ctx, del.GetKey(), sdk.Revision(del.GetExpect()))
}

// stateList answers with as many entries as fit into a message: the plugin asks
// on from the last one.
func (h *hostCalls) stateList(ctx context.Context, c *pb.Call, r *pb.CallReply) error {
	list := c.GetStateList()
	limit := min(max(int(list.GetLimit()), 1), maxStateList)
	entries, err := h.host.State().List(ctx, list.GetPrefix(), list.GetAfter(), limit)
	if err != nil {
		return err
	}
	out := &pb.Entries{}
	size := 0
	for _, e := range entries {
		if size += len(e.Key) + len(e.Value) + 32; size > maxBatchBytes && len(out.Entries) > 0 {
			break
		}
		out.Entries = append(out.Entries, encode[pb.Entry](h.codec, e))
	}
	out.More = len(out.Entries) < len(entries)
	r.Reply = &pb.CallReply_Entries{Entries: out}
	return nil
}

func (h *hostCalls) capabilities(ctx context.Context, c *pb.Call, _ *pb.CallReply) error {
	v, err := decode[sdk.CapabilitiesChange](h.codec, c.GetCapabilities())
	if err != nil {
		return invalid(err)
	}
	return h.host.CapabilitiesChanged(ctx, v)
}

func (h *hostCalls) login(ctx context.Context, c *pb.Call, _ *pb.CallReply) error {
	v, err := decode[sdk.LoginStatus](h.codec, c.GetLogin())
	if err != nil {
		return invalid(err)
	}
	return h.host.LoginChanged(ctx, v)
}

func (h *hostCalls) person(ctx context.Context, c *pb.Call, r *pb.CallReply) error {
	q, err := decode[sdk.PersonQuery](h.codec, c.GetPerson())
	if err != nil {
		return invalid(err)
	}
	p, err := h.host.LookupPerson(ctx, q)
	if err != nil {
		return err
	}
	r.Reply = &pb.CallReply_Person{Person: encode[pb.Sender](h.codec, p)}
	return nil
}

func (h *hostCalls) room(ctx context.Context, c *pb.Call, r *pb.CallReply) error {
	q, err := decode[sdk.RoomQuery](h.codec, c.GetRoom())
	if err != nil {
		return invalid(err)
	}
	card, err := h.host.LookupRoom(ctx, q)
	if err != nil {
		return err
	}
	r.Reply = &pb.CallReply_Room{Room: encode[pb.RoomCard](h.codec, card)}
	return nil
}

func (h *hostCalls) upload(_ context.Context, c *pb.Call, r *pb.CallReply) error {
	info, err := decode[sdk.Media](h.codec, c.GetUpload())
	if err != nil {
		return invalid(err)
	}
	token, err := h.media.expectUpload(h.host, info)
	if err != nil {
		return err
	}
	r.Reply = &pb.CallReply_Token{Token: token}
	return nil
}

func (h *hostCalls) open(_ context.Context, c *pb.Call, r *pb.CallReply) error {
	req, err := decode[sdk.MediaRequest](h.codec, c.GetOpen())
	if err != nil {
		return invalid(err)
	}
	token, err := h.media.expectOpen(h.host, req)
	if err != nil {
		return err
	}
	r.Reply = &pb.CallReply_Token{Token: token}
	return nil
}

func invalid(err error) error {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e
	}
	return &sdk.Error{Code: sdk.CodeInvalid, Text: err.Error()}
}
