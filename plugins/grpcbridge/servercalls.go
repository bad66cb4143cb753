package grpcbridge

import (
	"context"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// respond decodes a request, makes the call and gives the error and the encoded answer.
func respond[PReq, PRes, Req, Res any](ctx context.Context, c *codec, m *PReq, f func(context.Context, Req) (Res, error)) (*pb.Error, *PRes) {
	req, err := decode[Req](c, m)
	if err != nil {
		return toPBError(invalid(err)), nil
	}
	res, err := f(ctx, req)
	if err != nil {
		return toPBError(err), nil
	}
	return nil, encode[PRes](c, res)
}

// respond0 is respond for calls that return nothing.
func respond0[PReq, Req any](ctx context.Context, c *codec, m *PReq, f func(context.Context, Req) error) (*pb.Status, error) {
	req, err := decode[Req](c, m)
	if err != nil {
		return &pb.Status{Error: toPBError(invalid(err))}, nil
	}
	return &pb.Status{Error: toPBError(f(ctx, req))}, nil
}

// Drain implements the call, and so do the following.
func (s *server) Drain(ctx context.Context, _ *pb.Nothing) (*pb.Status, error) {
	return &pb.Status{Error: toPBError(s.local.Drain(ctx))}, nil
}

func (s *server) Resolve(ctx context.Context, r *pb.ResolveRequest) (*pb.TargetReply, error) {
	e, t := respond[pb.ResolveRequest, pb.Target](ctx, s.codec, r, s.local.Resolve)
	return &pb.TargetReply{Error: e, Target: t}, nil
}

func (s *server) JoinPortal(ctx context.Context, r *pb.JoinRequest) (*pb.ChatInfoReply, error) {
	e, i := respond[pb.JoinRequest, pb.ChatInfo](ctx, s.codec, r, s.local.JoinPortal)
	return &pb.ChatInfoReply{Error: e, Info: i}, nil
}

func (s *server) LeavePortal(ctx context.Context, r *pb.LeaveRequest) (*pb.Status, error) {
	return respond0(ctx, s.codec, r, s.local.LeavePortal)
}

func (s *server) GetChatInfo(ctx context.Context, r *pb.ChatInfoRequest) (*pb.ChatInfoReply, error) {
	e, i := respond[pb.ChatInfoRequest, pb.ChatInfo](ctx, s.codec, r, s.local.ChatInfo)
	return &pb.ChatInfoReply{Error: e, Info: i}, nil
}

func (s *server) GetUserInfo(ctx context.Context, r *pb.UserInfoRequest) (*pb.UserInfoReply, error) {
	e, i := respond[pb.UserInfoRequest, pb.UserInfo](ctx, s.codec, r, s.local.UserInfo)
	return &pb.UserInfoReply{Error: e, Info: i}, nil
}

func (s *server) Search(ctx context.Context, r *pb.SearchRequest) (*pb.SearchReply, error) {
	e, res := respond[pb.SearchRequest, pb.SearchResult](ctx, s.codec, r, s.local.Search)
	return &pb.SearchReply{Error: e, Result: res}, nil
}

func (s *server) CreateDM(ctx context.Context, r *pb.CreateDMRequest) (*pb.ChatInfoReply, error) {
	e, i := respond[pb.CreateDMRequest, pb.ChatInfo](ctx, s.codec, r, s.local.CreateDM)
	return &pb.ChatInfoReply{Error: e, Info: i}, nil
}

func (s *server) CreateRoom(ctx context.Context, r *pb.CreateRoomRequest) (*pb.ChatInfoReply, error) {
	e, i := respond[pb.CreateRoomRequest, pb.ChatInfo](ctx, s.codec, r, s.local.CreateRoom)
	return &pb.ChatInfoReply{Error: e, Info: i}, nil
}

func (s *server) Watch(ctx context.Context, r *pb.WatchRequest) (*pb.Status, error) {
	return respond0(ctx, s.codec, r, s.local.Watch)
}

func (s *server) Test(ctx context.Context, _ *pb.Nothing) (*pb.ReportReply, error) {
	report, err := s.local.Test(ctx)
	return &pb.ReportReply{Error: toPBError(err), Report: encode[pb.Report](s.codec, report)}, nil
}

func (s *server) Setup(ctx context.Context, r *pb.SetupRequest) (*pb.SetupReply, error) {
	e, p := respond[pb.SetupRequest, pb.SetupPlan](ctx, s.codec, r, s.local.Setup)
	return &pb.SetupReply{Error: e, Plan: p}, nil
}

func (s *server) StartLogin(ctx context.Context, r *pb.StartLoginRequest) (*pb.LoginStepReply, error) {
	e, step := respond[pb.StartLoginRequest, pb.LoginStep](ctx, s.codec, r, s.local.StartLogin)
	return &pb.LoginStepReply{Error: e, Step: step}, nil
}

func (s *server) ContinueLogin(ctx context.Context, r *pb.LoginInput) (*pb.LoginStepReply, error) {
	e, step := respond[pb.LoginInput, pb.LoginStep](ctx, s.codec, r, s.local.LoginStep)
	return &pb.LoginStepReply{Error: e, Step: step}, nil
}

func (s *server) CancelLogin(ctx context.Context, r *pb.LoginName) (*pb.Status, error) {
	return &pb.Status{Error: toPBError(s.local.CancelLogin(ctx, r.GetId()))}, nil
}

func (s *server) LoadLogin(ctx context.Context, r *pb.Login) (*pb.LoginStatusReply, error) {
	e, st := respond[pb.Login, pb.LoginStatus](ctx, s.codec, r, s.local.LoadLogin)
	return &pb.LoginStatusReply{Error: e, Status: st}, nil
}

func (s *server) Logout(ctx context.Context, r *pb.LoginName) (*pb.Status, error) {
	return &pb.Status{Error: toPBError(s.local.Logout(ctx, sdk.LoginID(r.GetId())))}, nil
}
