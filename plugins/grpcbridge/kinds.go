package grpcbridge

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// oneof pairs the Go types of a closed set with the wrappers protobuf puts
// around the members of its oneof.
type oneof struct {
	bySDK map[reflect.Type]*oneofRow // by the sdk struct
	byPB  map[reflect.Type]*oneofRow // by the wrapper, a pointer type
}

type oneofRow struct {
	sdk     reflect.Type
	wrapper reflect.Type // struct with one field, a pointer to message
	message reflect.Type
	plan    *plan
}

// kind is one row of a table: a value of each side, for its type only.
type kind struct{ sdk, pb any }

func eventKinds() []kind {
	return []kind{
		{sdk.Message{}, &pb.Event_Message{}},
		{sdk.Edit{}, &pb.Event_Edit{}},
		{sdk.Retract{}, &pb.Event_Retract{}},
		{sdk.Reaction{}, &pb.Event_Reaction{}},
		{sdk.Membership{}, &pb.Event_Membership{}},
		{sdk.Rights{}, &pb.Event_Rights{}},
		{sdk.RoomChanged{}, &pb.Event_RoomChanged{}},
		{sdk.RoomMoved{}, &pb.Event_RoomMoved{}},
		{sdk.PortalOpened{}, &pb.Event_PortalOpened{}},
		{sdk.PortalGone{}, &pb.Event_PortalGone{}},
		{sdk.UserChanged{}, &pb.Event_UserChanged{}},
		{sdk.Progress{}, &pb.Event_Progress{}},
		{sdk.Gap{}, &pb.Event_Gap{}},
	}
}

func opKinds() []kind {
	return []kind{
		{sdk.SendMessage{}, &pb.Op_Send{}},
		{sdk.EditMessage{}, &pb.Op_Edit{}},
		{sdk.RetractMessage{}, &pb.Op_Retract{}},
		{sdk.SetReactions{}, &pb.Op_React{}},
		{sdk.SetTopic{}, &pb.Op_Topic{}},
		{sdk.EditRoom{}, &pb.Op_EditRoom{}},
		{sdk.JoinGhost{}, &pb.Op_JoinGhost{}},
		{sdk.LeaveGhost{}, &pb.Op_LeaveGhost{}},
		{sdk.InviteUser{}, &pb.Op_Invite{}},
		{sdk.Moderate{}, &pb.Op_Moderate{}},
		{sdk.ChangeProfile{}, &pb.Op_Profile{}},
	}
}

func signalKinds() []kind {
	return []kind{
		{sdk.Typing{}, &pb.Signal_Typing{}},
		{sdk.Presence{}, &pb.Signal_Presence{}},
		{sdk.ReadState{}, &pb.Signal_Read{}},
	}
}

// messagePairs are the types that travel by themselves.
func messagePairs() []kind {
	return []kind{
		{sdk.EventHeader{}, &pb.EventHeader{}},
		{sdk.OpHeader{}, &pb.OpHeader{}},
		{sdk.CursorMark{}, &pb.CursorMark{}},
		{sdk.Delivered{}, &pb.Delivered{}},
		{sdk.Info{}, &pb.Info{}},
		{sdk.Configuration{}, &pb.Configuration{}},
		{sdk.Resume{}, &pb.Resume{}},
		{sdk.ResolveRequest{}, &pb.ResolveRequest{}},
		{sdk.Target{}, &pb.Target{}},
		{sdk.JoinRequest{}, &pb.JoinRequest{}},
		{sdk.LeaveRequest{}, &pb.LeaveRequest{}},
		{sdk.ChatInfoRequest{}, &pb.ChatInfoRequest{}},
		{sdk.ChatInfo{}, &pb.ChatInfo{}},
		{sdk.UserInfoRequest{}, &pb.UserInfoRequest{}},
		{sdk.UserInfo{}, &pb.UserInfo{}},
		{sdk.SearchRequest{}, &pb.SearchRequest{}},
		{sdk.SearchResult{}, &pb.SearchResult{}},
		{sdk.CreateDMRequest{}, &pb.CreateDMRequest{}},
		{sdk.CreateRoomRequest{}, &pb.CreateRoomRequest{}},
		{sdk.HistoryRequest{}, &pb.HistoryRequest{}},
		{sdk.MediaRequest{}, &pb.MediaRequest{}},
		{sdk.Media{}, &pb.Media{}},
		{sdk.WatchRequest{}, &pb.WatchRequest{}},
		{sdk.Report{}, &pb.Report{}},
		{sdk.SetupRequest{}, &pb.SetupRequest{}},
		{sdk.SetupPlan{}, &pb.SetupPlan{}},
		{sdk.StartLoginRequest{}, &pb.StartLoginRequest{}},
		{sdk.LoginInput{}, &pb.LoginInput{}},
		{sdk.LoginStep{}, &pb.LoginStep{}},
		{sdk.Login{}, &pb.Login{}},
		{sdk.LoginStatus{}, &pb.LoginStatus{}},
		{sdk.CapabilitiesChange{}, &pb.CapabilitiesChange{}},
		{sdk.PersonQuery{}, &pb.PersonQuery{}},
		{sdk.RoomQuery{}, &pb.RoomQuery{}},
		{sdk.RoomCard{}, &pb.RoomCard{}},
		{sdk.Sender{}, &pb.Sender{}},
		{sdk.Entry{}, &pb.Entry{}},
	}
}

// newCodec plans all conversions. An error names every field without a twin.
func newCodec() (*codec, error) {
	c := &codec{plans: map[pair]*plan{}}
	p := &planning{c: c}
	for _, k := range messagePairs() {
		p.plan(reflect.TypeOf(k.sdk), reflect.TypeOf(k.pb).Elem())
	}
	c.events = p.oneof(eventKinds())
	c.ops = p.oneof(opKinds())
	c.signals = p.oneof(signalKinds())
	if len(p.errs) > 0 {
		slices.Sort(p.errs)
		return nil, errors.New("plan conversions: " + strings.Join(slices.Compact(p.errs), "; "))
	}
	return c, nil
}

func (p *planning) oneof(kinds []kind) oneof {
	o := oneof{bySDK: map[reflect.Type]*oneofRow{}, byPB: map[reflect.Type]*oneofRow{}}
	for _, k := range kinds {
		row := &oneofRow{sdk: reflect.TypeOf(k.sdk), wrapper: reflect.TypeOf(k.pb).Elem()}
		row.message = row.wrapper.Field(0).Type.Elem()
		row.plan = p.plan(row.sdk, row.message)
		o.bySDK[row.sdk] = row
		o.byPB[reflect.PointerTo(row.wrapper)] = row
	}
	return o
}

// wrap turns a pointer to an sdk value into the wrapper for the oneof.
func (o oneof) wrap(v any) (reflect.Value, bool) {
	src := reflect.ValueOf(v).Elem()
	row, ok := o.bySDK[src.Type()]
	if !ok {
		return reflect.Value{}, false
	}
	m := reflect.New(row.message)
	row.plan.enc(src, m.Elem())
	w := reflect.New(row.wrapper)
	w.Elem().Field(0).Set(m)
	return w, true
}

// unwrap is the reverse; a nil or unknown wrapper is reported as false.
func (o oneof) unwrap(d *decoding, wrapper any) (reflect.Value, bool) {
	if wrapper == nil {
		return reflect.Value{}, false
	}
	w := reflect.ValueOf(wrapper)
	row, ok := o.byPB[w.Type()]
	if !ok {
		return reflect.Value{}, false
	}
	out := reflect.New(row.sdk)
	if m := w.Elem().Field(0); !m.IsNil() {
		row.plan.dec(d, m.Elem(), out.Elem())
	}
	return out, true
}

// encode converts a pair of messagePairs.
func encode[P, S any](c *codec, s S) *P {
	out := new(P)
	c.plans[pair{reflect.TypeFor[S](), reflect.TypeFor[P]()}].enc(reflect.ValueOf(&s).Elem(), reflect.ValueOf(out).Elem())
	return out
}

// decode converts a pair of messagePairs; nil is the zero value.
func decode[S, P any](c *codec, m *P) (S, error) {
	var out S
	if m == nil {
		return out, nil
	}
	var d decoding
	c.plans[pair{reflect.TypeFor[S](), reflect.TypeFor[P]()}].dec(&d, reflect.ValueOf(m).Elem(), reflect.ValueOf(&out).Elem())
	return out, d.err
}

func (c *codec) event(e sdk.Event) (*pb.Event, error) {
	w, ok := c.events.wrap(e)
	if !ok {
		return nil, fmt.Errorf("event of type %T cannot be delivered", e)
	}
	out := &pb.Event{Head: encode[pb.EventHeader](c, *e.Head())}
	reflect.ValueOf(out).Elem().FieldByName("Kind").Set(w)
	return out, nil
}

func (c *codec) toEvent(m *pb.Event) (sdk.Event, error) {
	head, err := decode[sdk.EventHeader](c, m.GetHead())
	if err != nil {
		return nil, err
	}
	var d decoding
	v, ok := c.events.unwrap(&d, m.GetKind())
	if !ok {
		return &sdk.UnknownEvent{EventHeader: head}, nil
	}
	e := v.Interface().(sdk.Event)
	*e.Head() = head
	return e, d.err
}

func (c *codec) op(o sdk.Op) (*pb.Op, error) {
	w, ok := c.ops.wrap(o)
	if !ok {
		return nil, sdk.Unsupported(fmt.Sprintf("an operation of type %T", o))
	}
	out := &pb.Op{Head: encode[pb.OpHeader](c, *o.Head())}
	reflect.ValueOf(out).Elem().FieldByName("Kind").Set(w)
	return out, nil
}

func (c *codec) toOp(m *pb.Op) (sdk.Op, error) {
	head, err := decode[sdk.OpHeader](c, m.GetHead())
	if err != nil {
		return nil, err
	}
	var d decoding
	v, ok := c.ops.unwrap(&d, m.GetKind())
	if !ok {
		return &sdk.UnknownOp{OpHeader: head}, nil
	}
	o := v.Interface().(sdk.Op)
	*o.Head() = head
	return o, d.err
}

func (c *codec) signal(s sdk.Signal) (*pb.Signal, bool) {
	w, ok := c.signals.wrap(s)
	if !ok {
		return nil, false
	}
	out := &pb.Signal{}
	reflect.ValueOf(out).Elem().FieldByName("Kind").Set(w)
	return out, true
}

// toSignal gives nothing for what is unknown or malformed: signals are lossy.
func (c *codec) toSignal(m *pb.Signal) (sdk.Signal, bool) {
	var d decoding
	v, ok := c.signals.unwrap(&d, m.GetKind())
	if !ok || d.err != nil {
		return nil, false
	}
	return v.Interface().(sdk.Signal), true
}
