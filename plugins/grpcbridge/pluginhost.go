package grpcbridge

import (
	"context"
	"io"
	"log/slog"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// pluginHost is sdk.Host as the bridge in a plugin sees it.
type pluginHost struct {
	codec     *codec
	session   *pluginSession
	calls     *pluginCalls
	signals   *sdk.SignalQueue
	media     *mediaClient
	publicURL string
	log       slog.Handler
}

var _ sdk.Host = (*pluginHost)(nil)

func (h *pluginHost) Deliver(ctx context.Context, b sdk.Batch) (sdk.Receipt, error) {
	return sdk.DeliverWait(ctx, h, b)
}

func (h *pluginHost) DeliverAsync(ctx context.Context, b sdk.Batch) (*sdk.Ticket, error) {
	return h.session.deliver(ctx, b)
}

func (h *pluginHost) Signal(s sdk.Signal) { h.signals.Put(s) }
func (h *pluginHost) State() sdk.State    { return pluginState{h} }
func (h *pluginHost) PublicURL() string   { return h.publicURL }
func (h *pluginHost) Log() slog.Handler   { return h.log }

func (h *pluginHost) CapabilitiesChanged(ctx context.Context, c sdk.CapabilitiesChange) error {
	_, err := h.calls.do(ctx, &pb.Call{Request: &pb.Call_Capabilities{Capabilities: encode[pb.CapabilitiesChange](h.codec, c)}})
	return err
}

func (h *pluginHost) LoginChanged(ctx context.Context, s sdk.LoginStatus) error {
	_, err := h.calls.do(ctx, &pb.Call{Request: &pb.Call_Login{Login: encode[pb.LoginStatus](h.codec, s)}})
	return err
}

func (h *pluginHost) LookupPerson(ctx context.Context, q sdk.PersonQuery) (sdk.Sender, error) {
	r, err := h.calls.do(ctx, &pb.Call{Request: &pb.Call_Person{Person: encode[pb.PersonQuery](h.codec, q)}})
	if err != nil {
		return sdk.Sender{}, err
	}
	return decode[sdk.Sender](h.codec, r.GetPerson())
}

func (h *pluginHost) LookupRoom(ctx context.Context, q sdk.RoomQuery) (sdk.RoomCard, error) {
	r, err := h.calls.do(ctx, &pb.Call{Request: &pb.Call_Room{Room: encode[pb.RoomQuery](h.codec, q)}})
	if err != nil {
		return sdk.RoomCard{}, err
	}
	return decode[sdk.RoomCard](h.codec, r.GetRoom())
}

func (h *pluginHost) Upload(ctx context.Context, info sdk.Media, body io.Reader) (sdk.Media, error) {
	m := encode[pb.Media](h.codec, info)
	r, err := h.calls.do(ctx, &pb.Call{Request: &pb.Call_Upload{Upload: m}})
	if err != nil {
		return sdk.Media{}, err
	}
	out, err := h.media.upload(ctx, r.GetToken(), m, body)
	if err != nil {
		return sdk.Media{}, err
	}
	return decode[sdk.Media](h.codec, out)
}

func (h *pluginHost) Open(ctx context.Context, req sdk.MediaRequest) (sdk.MediaContent, error) {
	r, err := h.calls.do(ctx, &pb.Call{Request: &pb.Call_Open{Open: encode[pb.MediaRequest](h.codec, req)}})
	if err != nil {
		return sdk.MediaContent{}, err
	}
	return h.media.open(ctx, r.GetToken())
}

// pluginState is sdk.State by way of the host.
type pluginState struct{ h *pluginHost }

func (s pluginState) Get(ctx context.Context, key string) (sdk.Entry, error) {
	r, err := s.h.calls.do(ctx, &pb.Call{Request: &pb.Call_StateGet{StateGet: &pb.StateGet{Key: key}}})
	if err != nil {
		return sdk.Entry{}, err
	}
	return decode[sdk.Entry](s.h.codec, r.GetEntry())
}

func (s pluginState) Put(ctx context.Context, key string, value []byte, expect sdk.Revision) (sdk.Revision, error) {
	put := &pb.StatePut{Key: key, Value: value, Expect: uint64(expect)}
	r, err := s.h.calls.do(ctx, &pb.Call{Request: &pb.Call_StatePut{StatePut: put}})
	if err != nil {
		return 0, err
	}
	return sdk.Revision(r.GetRevision()), nil
}

func (s pluginState) Delete(ctx context.Context, key string, expect sdk.Revision) error {
	_, err := s.h.calls.do(ctx, &pb.Call{Request: &pb.Call_StateDelete{StateDelete: &pb.StateDelete{Key: key, Expect: uint64(expect)}}})
	return err
}

func (s pluginState) List(ctx context.Context, prefix, after string, limit int) ([]sdk.Entry, error) {
	limit = min(max(limit, 1), maxStateList)
	var out []sdk.Entry
	for {
		list := &pb.StateList{Prefix: prefix, After: after, Limit: int32(limit - len(out))}
		r, err := s.h.calls.do(ctx, &pb.Call{Request: &pb.Call_StateList{StateList: list}})
		if err != nil {
			return nil, err
		}
		for _, m := range r.GetEntries().GetEntries() {
			e, err := decode[sdk.Entry](s.h.codec, m)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
			after = e.Key
		}
		if !r.GetEntries().GetMore() || len(r.GetEntries().GetEntries()) == 0 || len(out) >= limit {
			return out, nil
		}
	}
}
