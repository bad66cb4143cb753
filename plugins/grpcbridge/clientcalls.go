package grpcbridge

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// failed is the part of every reply that says what went wrong.
type failed interface{ GetError() *pb.Error }

// request makes one call: it encodes, bounds the time, and turns both kinds of
// failure into errors of the contract.
func request[Req, PReq any, PRes failed](ctx context.Context, c *Client, req Req, f func(context.Context, *PReq, ...grpc.CallOption) (PRes, error)) (PRes, error) {
	return send(ctx, c, encode[PReq](c.codec, req), f)
}

// send is request for a message that is encoded already.
func send[PReq any, PRes failed](ctx context.Context, c *Client, m *PReq, f func(context.Context, *PReq, ...grpc.CallOption) (PRes, error)) (PRes, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	res, err := f(ctx, m)
	if err != nil {
		var lost *sdk.Error
		if errors.As(context.Cause(ctx), &lost) {
			return res, lost
		}
		return res, fromTransport(ctx, err)
	}
	return res, fromPBError(res.GetError())
}

// Configure implements sdk.Remote: it hands over the configuration.
func (c *Client) Configure(ctx context.Context, r sdk.Configuration) error {
	_, err := request(ctx, c, r, c.rpc.Configure)
	return err
}

// Drain implements sdk.Remote: the bridge takes nothing new and finishes what was under way.
func (c *Client) Drain(ctx context.Context) error {
	_, err := send(ctx, c, &pb.Nothing{}, c.rpc.Drain)
	return err
}

// Resolve implements sdk.Remote: it finds what a person typed.
func (c *Client) Resolve(ctx context.Context, r sdk.ResolveRequest) (sdk.Target, error) {
	res, err := request(ctx, c, r, c.rpc.Resolve)
	if err != nil {
		return sdk.Target{}, err
	}
	return decode[sdk.Target](c.codec, res.GetTarget())
}

// JoinPortal implements sdk.Remote: the bridge, or a login, enters a room.
func (c *Client) JoinPortal(ctx context.Context, r sdk.JoinRequest) (sdk.ChatInfo, error) {
	res, err := request(ctx, c, r, c.rpc.JoinPortal)
	return c.chatInfo(res, err)
}

func (c *Client) chatInfo(res *pb.ChatInfoReply, err error) (sdk.ChatInfo, error) {
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	return decode[sdk.ChatInfo](c.codec, res.GetInfo())
}

// LeavePortal implements sdk.Remote: the bridge, or a login, leaves a room.
func (c *Client) LeavePortal(ctx context.Context, r sdk.LeaveRequest) error {
	_, err := request(ctx, c, r, c.rpc.LeavePortal)
	return err
}

// ChatInfo implements sdk.Remote: it describes a room.
func (c *Client) ChatInfo(ctx context.Context, r sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	res, err := request(ctx, c, r, c.rpc.GetChatInfo)
	return c.chatInfo(res, err)
}

// UserInfo implements sdk.Remote: it describes a user.
func (c *Client) UserInfo(ctx context.Context, r sdk.UserInfoRequest) (sdk.UserInfo, error) {
	res, err := request(ctx, c, r, c.rpc.GetUserInfo)
	if err != nil {
		return sdk.UserInfo{}, err
	}
	return decode[sdk.UserInfo](c.codec, res.GetInfo())
}

// Test implements sdk.Remote: it checks credentials, rights and reachability.
func (c *Client) Test(ctx context.Context) (sdk.Report, error) {
	res, err := send(ctx, c, &pb.Nothing{}, c.rpc.Test)
	if err != nil {
		return sdk.Report{}, err
	}
	return decode[sdk.Report](c.codec, res.GetReport())
}

// Search implements sdk.Remote, for bridges with the ability.
func (c *Client) Search(ctx context.Context, r sdk.SearchRequest) (sdk.SearchResult, error) {
	if !c.Can(sdk.AbilitySearch) {
		return sdk.SearchResult{}, sdk.Unsupported("searching")
	}
	res, err := request(ctx, c, r, c.rpc.Search)
	if err != nil {
		return sdk.SearchResult{}, err
	}
	return decode[sdk.SearchResult](c.codec, res.GetResult())
}

// CreateDM implements sdk.Remote, for bridges with the ability.
func (c *Client) CreateDM(ctx context.Context, r sdk.CreateDMRequest) (sdk.ChatInfo, error) {
	if !c.Can(sdk.AbilityDM) {
		return sdk.ChatInfo{}, sdk.Unsupported("opening a direct chat")
	}
	res, err := request(ctx, c, r, c.rpc.CreateDM)
	return c.chatInfo(res, err)
}

// CreateRoom implements sdk.Remote, for bridges with the ability.
func (c *Client) CreateRoom(ctx context.Context, r sdk.CreateRoomRequest) (sdk.ChatInfo, error) {
	if !c.Can(sdk.AbilityCreate) {
		return sdk.ChatInfo{}, sdk.Unsupported("creating a room")
	}
	res, err := request(ctx, c, r, c.rpc.CreateRoom)
	return c.chatInfo(res, err)
}

// FetchHistory drops what is malformed in a page, and says so in the log.
func (c *Client) FetchHistory(ctx context.Context, r sdk.HistoryRequest) (sdk.HistoryPage, error) {
	if !c.Can(sdk.AbilityHistory) {
		return sdk.HistoryPage{}, sdk.Unsupported("reading history")
	}
	res, err := request(ctx, c, r, c.rpc.FetchHistory)
	if err != nil {
		return sdk.HistoryPage{}, err
	}
	page := sdk.HistoryPage{Older: sdk.Cursor(res.GetOlder()), Newer: sdk.Cursor(res.GetNewer())}
	for _, m := range res.GetEvents() {
		e, err := c.codec.toEvent(m)
		if err != nil {
			c.opt.Log.Warn("malformed event in history", "error", err)
			continue
		}
		e.Head().History = true
		page.Events = append(page.Events, e)
	}
	return page, nil
}

// FetchMedia gives a file of the bridge's. ctx must last until it is read.
func (c *Client) FetchMedia(ctx context.Context, r sdk.MediaRequest) (sdk.MediaContent, error) {
	if !c.Can(sdk.AbilityMedia) {
		return sdk.MediaContent{}, sdk.Unsupported("fetching files")
	}
	return c.media.fetch(ctx, func(token string) (*pb.MediaHead, error) {
		m := &pb.FetchMediaRequest{Request: encode[pb.MediaRequest](c.codec, r), Token: token}
		res, err := send(ctx, c, m, c.rpc.FetchMedia)
		if err != nil {
			return nil, err
		}
		return res.GetHead(), nil
	})
}

// Watch implements sdk.Remote, for bridges with the ability.
func (c *Client) Watch(ctx context.Context, r sdk.WatchRequest) error {
	if !c.Can(sdk.AbilityWatch) {
		return sdk.Unsupported("watching presence")
	}
	_, err := request(ctx, c, r, c.rpc.Watch)
	return err
}

// Setup implements sdk.Remote, for bridges with the ability.
func (c *Client) Setup(ctx context.Context, r sdk.SetupRequest) (sdk.SetupPlan, error) {
	if !c.Can(sdk.AbilitySetup) {
		return sdk.SetupPlan{}, sdk.Unsupported("setting up")
	}
	res, err := request(ctx, c, r, c.rpc.Setup)
	if err != nil {
		return sdk.SetupPlan{}, err
	}
	return decode[sdk.SetupPlan](c.codec, res.GetPlan())
}

// StartLogin implements sdk.Remote, for bridges with the ability.
func (c *Client) StartLogin(ctx context.Context, r sdk.StartLoginRequest) (sdk.LoginStep, error) {
	if !c.Can(sdk.AbilityLogin) {
		return sdk.LoginStep{}, sdk.Unsupported("signing in")
	}
	res, err := request(ctx, c, r, c.rpc.StartLogin)
	return c.loginStep(res, err)
}

// LoginStep implements sdk.Remote: it gives what the user entered and returns the next step.
func (c *Client) LoginStep(ctx context.Context, r sdk.LoginInput) (sdk.LoginStep, error) {
	if !c.Can(sdk.AbilityLogin) {
		return sdk.LoginStep{}, sdk.Unsupported("signing in")
	}
	res, err := request(ctx, c, r, c.rpc.ContinueLogin)
	return c.loginStep(res, err)
}

func (c *Client) loginStep(res *pb.LoginStepReply, err error) (sdk.LoginStep, error) {
	if err != nil {
		return sdk.LoginStep{}, err
	}
	return decode[sdk.LoginStep](c.codec, res.GetStep())
}

// CancelLogin implements sdk.Remote: it ends a login that was not finished.
func (c *Client) CancelLogin(ctx context.Context, process string) error {
	if !c.Can(sdk.AbilityLogin) {
		return sdk.Unsupported("signing in")
	}
	_, err := send(ctx, c, &pb.LoginName{Id: process}, c.rpc.CancelLogin)
	return err
}

// LoadLogin implements sdk.Remote: the bridge takes up a login that was saved.
func (c *Client) LoadLogin(ctx context.Context, r sdk.Login) (sdk.LoginStatus, error) {
	if !c.Can(sdk.AbilityLogin) {
		return sdk.LoginStatus{}, sdk.Unsupported("signing in")
	}
	res, err := request(ctx, c, r, c.rpc.LoadLogin)
	if err != nil {
		return sdk.LoginStatus{}, err
	}
	return decode[sdk.LoginStatus](c.codec, res.GetStatus())
}

// Logout implements sdk.Remote: it ends a login for good.
func (c *Client) Logout(ctx context.Context, id sdk.LoginID) error {
	if !c.Can(sdk.AbilityLogin) {
		return sdk.Unsupported("signing out")
	}
	_, err := send(ctx, c, &pb.LoginName{Id: string(id)}, c.rpc.Logout)
	return err
}
