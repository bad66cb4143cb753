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

// Configure implements sdk.Remote, and so do the following.
func (c *Client) Configure(ctx context.Context, r sdk.Configuration) error {
	_, err := request(ctx, c, r, c.rpc.Configure)
	return err
}

func (c *Client) Drain(ctx context.Context) error {
	_, err := send(ctx, c, &pb.Nothing{}, c.rpc.Drain)
	return err
}

func (c *Client) Resolve(ctx context.Context, r sdk.ResolveRequest) (sdk.Target, error) {
	res, err := request(ctx, c, r, c.rpc.Resolve)
	if err != nil {
		return sdk.Target{}, err
	}
	return decode[sdk.Target](c.codec, res.GetTarget())
}

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

func (c *Client) LeavePortal(ctx context.Context, r sdk.LeaveRequest) error {
	_, err := request(ctx, c, r, c.rpc.LeavePortal)
	return err
}

func (c *Client) ChatInfo(ctx context.Context, r sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	res, err := request(ctx, c, r, c.rpc.GetChatInfo)
	return c.chatInfo(res, err)
}

func (c *Client) UserInfo(ctx context.Context, r sdk.UserInfoRequest) (sdk.UserInfo, error) {
	res, err := request(ctx, c, r, c.rpc.GetUserInfo)
	if err != nil {
		return sdk.UserInfo{}, err
	}
	return decode[sdk.UserInfo](c.codec, res.GetInfo())
}

func (c *Client) Test(ctx context.Context) (sdk.Report, error) {
	res, err := send(ctx, c, &pb.Nothing{}, c.rpc.Test)
	if err != nil {
		return sdk.Report{}, err
	}
	return decode[sdk.Report](c.codec, res.GetReport())
}

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

func (c *Client) CreateDM(ctx context.Context, r sdk.CreateDMRequest) (sdk.ChatInfo, error) {
	if !c.Can(sdk.AbilityDM) {
		return sdk.ChatInfo{}, sdk.Unsupported("opening a direct chat")
	}
	res, err := request(ctx, c, r, c.rpc.CreateDM)
	return c.chatInfo(res, err)
}

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

func (c *Client) Watch(ctx context.Context, r sdk.WatchRequest) error {
	if !c.Can(sdk.AbilityWatch) {
		return sdk.Unsupported("watching presence")
	}
	_, err := request(ctx, c, r, c.rpc.Watch)
	return err
}

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

func (c *Client) StartLogin(ctx context.Context, r sdk.StartLoginRequest) (sdk.LoginStep, error) {
	if !c.Can(sdk.AbilityLogin) {
		return sdk.LoginStep{}, sdk.Unsupported("signing in")
	}
	res, err := request(ctx, c, r, c.rpc.StartLogin)
	return c.loginStep(res, err)
}

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

func (c *Client) CancelLogin(ctx context.Context, process string) error {
	if !c.Can(sdk.AbilityLogin) {
		return sdk.Unsupported("signing in")
	}
	_, err := send(ctx, c, &pb.LoginName{Id: process}, c.rpc.CancelLogin)
	return err
}

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

func (c *Client) Logout(ctx context.Context, id sdk.LoginID) error {
	if !c.Can(sdk.AbilityLogin) {
		return sdk.Unsupported("signing out")
	}
	_, err := send(ctx, c, &pb.LoginName{Id: string(id)}, c.rpc.Logout)
	return err
}
