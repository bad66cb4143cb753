package matrix

import (
	"context"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Invite implements sdk.Inviter.
func (c *Connector) Invite(ctx context.Context, op *sdk.InviteUser) (sdk.Delivered, error) {
	user, err := matrixUser(op.User)
	if err != nil {
		return sdk.Delivered{}, err
	}
	return sdk.Delivered{}, c.withHelp(ctx, &op.OpHeader, "cannot invite", func(ctx context.Context, api *mautrix.Client, r *room) error {
		_, err := api.InviteUser(ctx, r.id, &mautrix.ReqInviteUser{UserID: user, Reason: op.Reason})
		if errcode(err) != "M_FORBIDDEN" {
			return err
		}
		var m event.MemberEventContent
		if api.StateEvent(ctx, r.id, event.StateMember, string(user), &m) == nil && m.Membership == event.MembershipJoin {
			return nil // in the room already
		}
		return err
	})
}

func matrixUser(name sdk.RemoteUserID) (id.UserID, error) {
	if t, err := matrixid.Parse(string(name)); err != nil || t.Kind != matrixid.KindUser {
		return "", sdk.Refuse(sdk.CodeInvalid, "%s is no Matrix user", name)
	}
	return id.UserID(name), nil
}

// Moderate implements sdk.Moderator.
func (c *Connector) Moderate(ctx context.Context, op *sdk.Moderate) (sdk.Delivered, error) {
	user, err := matrixUser(op.User)
	if err != nil {
		return sdk.Delivered{}, err
	}
	actions := map[sdk.ModerateAction]func(ctx context.Context, api *mautrix.Client, r *room) error{
		sdk.ModerateKick: func(ctx context.Context, api *mautrix.Client, r *room) error {
			_, err := api.KickUser(ctx, r.id, &mautrix.ReqKickUser{UserID: user, Reason: op.Reason})
			return err
		},
		sdk.ModerateBan: func(ctx context.Context, api *mautrix.Client, r *room) error {
			_, err := api.BanUser(ctx, r.id, &mautrix.ReqBanUser{UserID: user, Reason: op.Reason})
			return err
		},
		sdk.ModerateUnban: func(ctx context.Context, api *mautrix.Client, r *room) error {
			_, err := api.UnbanUser(ctx, r.id, &mautrix.ReqUnbanUser{UserID: user, Reason: op.Reason})
			return err
		},
		sdk.ModerateRole: func(ctx context.Context, api *mautrix.Client, r *room) error {
			return c.setRole(ctx, api, r, user, op.Role)
		},
	}
	act, ok := actions[op.Action]
	if !ok {
		return sdk.Delivered{}, sdk.Unsupported("this kind of moderation")
	}
	return sdk.Delivered{}, c.withHelp(ctx, &op.OpHeader, "no right to do that on Matrix", act)
}

// withHelp acts as the sender, and as the bot where she has no right to.
func (c *Connector) withHelp(ctx context.Context, h *sdk.OpHeader, what string, act func(ctx context.Context, api *mautrix.Client, r *room) error) error {
	return c.inRoom(ctx, h, what, func(ctx context.Context, api *mautrix.Client, r *room) error {
		err := act(ctx, api, r)
		if errcode(err) != "M_FORBIDDEN" {
			return err
		}
		helper, helperErr := c.reader(ctx, r)
		if helperErr != nil || act(ctx, helper, r) != nil {
			return err
		}
		return nil
	})
}

func (c *Connector) setRole(ctx context.Context, api *mautrix.Client, r *room, user id.UserID, role sdk.Role) error {
	var levels map[string]any
	if err := api.StateEvent(ctx, r.id, event.StatePowerLevels, "", &levels); err != nil {
		return err
	}
	users, _ := levels["users"].(map[string]any)
	if users == nil {
		users = map[string]any{}
	}
	users[string(user)] = levelOf(role)
	levels["users"] = users
	_, err := api.SendStateEvent(ctx, r.id, event.StatePowerLevels, "", levels)
	return err
}
