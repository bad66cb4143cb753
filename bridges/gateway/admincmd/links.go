package admincmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// Linker is what the commands of links need of the gateway.
type Linker interface {
	AddLink(ctx context.Context, room jid.JID, remotes []gateway.RemoteName, by jid.JID) ([]gateway.RemoteResult, error)
	RemoveLink(ctx context.Context, room jid.JID, remotes []gateway.RemoteName) ([]gateway.RemoteResult, error)
	PauseLink(ctx context.Context, room jid.JID, reason string) error
	ResumeLink(ctx context.Context, room jid.JID) error
	ReplayLink(ctx context.Context, room jid.JID, remotes []gateway.RemoteName) (int, error)
	Links(ctx context.Context) []gateway.LinkStatus
	Link(ctx context.Context, room jid.JID) (gateway.LinkStatus, error)
}

const remoteDoc = "REMOTE is BRIDGE:ROOM, the name of a bridge in the configuration and what its network calls the room: acme:#ops, matrix:#ops:hs.example."

// Links returns the commands of links.
func (c *Commands) Links() []*admin.Command {
	return []*admin.Command{
		{Name: "link add", Args: "ROOM REMOTE…", Min: 2, Max: -1, Run: c.linkAdd, Short: "link a room of this server with rooms of other networks",
			Long: remoteDoc + " The room is made if it is not there, with the administrators as owners. Each remote room is linked or not at all; the exit status is 1 if one could not be."},
		{Name: "link list", Run: c.linkList, Short: "list the links and how they are doing"},
		{Name: "link show", Args: "ROOM", Min: 1, Max: 1, Run: c.linkShow, Short: "show a link: what is connected, waits, was delivered and refused, and why it is paused"},
		{Name: "link pause", Args: "ROOM", Min: 1, Max: 1, Run: c.linkPause, Short: "stop a link until it is resumed; what is said waits"},
		{Name: "link resume", Args: "ROOM", Min: 1, Max: 1, Run: c.linkResume, Short: "end a pause, or the quarantine after a loop"},
		{Name: "link replay", Args: "ROOM [REMOTE…]", Min: 1, Max: -1, Run: c.linkReplay, Short: "send again what a network has refused for good"},
		{Name: "link remove", Args: "ROOM [REMOTE…]", Min: 1, Max: -1, Run: c.linkRemove, Short: "end a link, or take remote rooms out of it; the bridges leave them",
			Long: "Links of the configuration file belong to the file: they are taken out there. What still waits for a removed room is dropped."},
	}
}

// roomOf reads the address of a room.
func roomOf(s string) (jid.JID, error) {
	j, err := jid.Parse(s)
	if err != nil || !j.HasLocal() || !j.IsBare() {
		return jid.JID{}, admin.Usagef("%q is not the address of a room, such as ops@rooms.example.org", s)
	}
	return j, nil
}

// remotesOf reads BRIDGE:ROOM, split at the first colon.
func remotesOf(args []string) ([]gateway.RemoteName, error) {
	var out []gateway.RemoteName
	for _, a := range args {
		bridge, room, ok := strings.Cut(a, ":")
		if !ok || bridge == "" || room == "" {
			return nil, admin.Usagef("%q is not BRIDGE:ROOM, such as acme:#ops", a)
		}
		out = append(out, gateway.RemoteName{Bridge: bridge, Room: room})
	}
	return out, nil
}

// names reads the arguments of a command of links.
func names(r *admin.Request) (jid.JID, []gateway.RemoteName, error) {
	room, err := roomOf(r.Args[0])
	if err != nil {
		return room, nil, err
	}
	remotes, err := remotesOf(r.Args[1:])
	return room, remotes, err
}

func (c *Commands) linkAdd(ctx context.Context, r *admin.Request) (admin.Result, error) {
	room, remotes, err := names(r)
	if err != nil {
		return admin.Result{}, err
	}
	by, err := jid.Parse(r.By) // "local" is nobody's address
	if err != nil || !by.HasLocal() {
		by = jid.JID{}
	}
	got, err := c.Gateway.AddLink(ctx, room, remotes, by)
	if err != nil {
		return admin.Result{}, err
	}
	return results(room, got, "linked"), nil
}

// results tells of each remote room.
func results(room jid.JID, list []gateway.RemoteResult, done string) admin.Result {
	type entry struct {
		Remote string `json:"remote"`
		Done   bool   `json:"done"`
		Error  string `json:"error,omitempty"`
		Note   string `json:"note,omitempty"`
	}
	out := []entry{}
	var b strings.Builder
	failed := false
	for _, res := range list {
		e := entry{Remote: res.Remote.String(), Done: res.Err == nil, Note: res.Note}
		switch {
		case res.Err != nil:
			failed = true
			e.Error = admin.Plain(res.Err)
			fmt.Fprintf(&b, "%s: not %s: %s\n", e.Remote, done, e.Error)
		case res.Note != "":
			fmt.Fprintf(&b, "%s: %s; %s\n", e.Remote, done, res.Note)
		default:
			fmt.Fprintf(&b, "%s: %s\n", e.Remote, done)
		}
		out = append(out, e)
	}
	return admin.Result{Data: map[string]any{"room": room.String(), "remotes": out}, Text: b.String(), Failed: failed}
}

func (c *Commands) linkRemove(ctx context.Context, r *admin.Request) (admin.Result, error) {
	room, remotes, err := names(r)
	if err != nil {
		return admin.Result{}, err
	}
	got, err := c.Gateway.RemoveLink(ctx, room, remotes)
	if err != nil {
		return admin.Result{}, err
	}
	return results(room, got, "removed"), nil
}

func (c *Commands) linkReplay(ctx context.Context, r *admin.Request) (admin.Result, error) {
	room, remotes, err := names(r)
	if err != nil {
		return admin.Result{}, err
	}
	n, err := c.Gateway.ReplayLink(ctx, room, remotes)
	if err != nil {
		return admin.Result{}, err
	}
	return admin.Result{Data: map[string]any{"room": room.String(), "sent_again": n}, Text: fmt.Sprintf("%d dead letters wait to be sent again; see viaduct link show %s", n, room)}, nil
}

func (c *Commands) linkPause(ctx context.Context, r *admin.Request) (admin.Result, error) {
	return c.linkOrder(r, "paused", func(room jid.JID) error {
		by := r.By
		if by == "local" { // the command line
			by = "an administrator"
		}
		return c.Gateway.PauseLink(ctx, room, "by "+by)
	})
}

func (c *Commands) linkResume(ctx context.Context, r *admin.Request) (admin.Result, error) {
	return c.linkOrder(r, "resumed", func(room jid.JID) error { return c.Gateway.ResumeLink(ctx, room) })
}

func (c *Commands) linkOrder(r *admin.Request, done string, do func(jid.JID) error) (admin.Result, error) {
	room, err := roomOf(r.Args[0])
	if err != nil {
		return admin.Result{}, err
	}
	if err := do(room); err != nil {
		return admin.Result{}, err
	}
	return admin.Result{Data: map[string]string{"room": room.String(), "state": done}, Text: fmt.Sprintf("the link of %s is %s", room, done)}, nil
}

// stateOf is one word for a link.
func stateOf(s gateway.LinkStatus) string {
	switch {
	case s.Quarantined:
		return "quarantined"
	case s.Paused:
		return "paused"
	}
	for _, r := range s.Remotes {
		if r.State != "connected" {
			return "in part"
		}
	}
	return "connected"
}

func (c *Commands) linkList(ctx context.Context, _ *admin.Request) (admin.Result, error) {
	data := []map[string]any{}
	t := &admin.Table{Columns: []string{"room", "remote", "of", "state", "waiting", "dead", "what is wrong"}, Empty: "There are no links."}
	for _, s := range c.Gateway.Links(ctx) {
		data = append(data, linkData(s))
		for _, r := range s.Remotes {
			t.Rows = append(t.Rows, []string{s.Room.String(), r.Remote.String(), ownerWord(r), r.State, fmt.Sprint(r.Portal.Waiting), fmt.Sprint(len(r.Dead)), firstOf(s.Reason, r.Error)})
		}
	}
	return admin.Result{Data: data, Table: t}, nil
}

// ownerWord says to whom a remote belongs.
func ownerWord(r gateway.RemoteStatus) string {
	if r.File {
		return "file"
	}
	return "command"
}

func (c *Commands) linkShow(ctx context.Context, r *admin.Request) (admin.Result, error) {
	room, err := roomOf(r.Args[0])
	if err != nil {
		return admin.Result{}, err
	}
	s, err := c.Gateway.Link(ctx, room)
	if err != nil {
		return admin.Result{}, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", s.Room, stateOf(s))
	if s.Paused {
		fmt.Fprintf(&b, "  since %s: %s\n  to go on: viaduct link resume %s\n", s.Since.Format(time.RFC3339), s.Reason, s.Room)
	}
	for _, q := range s.Remotes {
		showRemote(&b, q)
	}
	return admin.Result{Data: linkData(s), Text: b.String()}, nil
}

// maxShown is how many dead letters are shown of a remote; --json has all of them.
const maxShown = 10

func showRemote(b *strings.Builder, r gateway.RemoteStatus) {
	line := func(key, format string, args ...any) {
		fmt.Fprintf(b, "    %-11s %s\n", key, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(b, "  %s\n", r.Remote)
	line("state", "%s", r.State)
	line("linked", "%s", linkedWords(r))
	p := r.Portal
	if !p.Room.IsZero() {
		line("room there", "%s, people shown: %d", firstOf(p.Name, string(p.Remote.Room)), p.Puppets)
		line("waiting", "%d, the oldest for %s", p.Waiting, p.Lag.Round(time.Second))
		line("out", "%d delivered, %d refused", p.Sent, p.Refused)
	}
	if r.Error != "" {
		line("last error", "%s", r.Error)
	}
	if len(r.Dead) == 0 {
		return
	}
	line("dead", "%d; to send them again: viaduct link replay ROOM %s", len(r.Dead), r.Remote)
	for _, d := range r.Dead[max(0, len(r.Dead)-maxShown):] {
		line("", "%s %s of %s: %s", d.At.Format(time.RFC3339), d.Op, d.Who, firstOf(d.Reason, d.Code))
	}
}

func linkedWords(r gateway.RemoteStatus) string {
	switch {
	case r.File && r.At.IsZero():
		return "by the configuration file; not joined yet"
	case r.File:
		return "by the configuration file, " + r.At.Format(time.RFC3339)
	}
	return "by " + firstOf(r.By, "an administrator") + ", " + r.At.Format(time.RFC3339)
}

// linkData is what --json prints.
func linkData(s gateway.LinkStatus) map[string]any {
	remotes := []map[string]any{}
	for _, r := range s.Remotes {
		dead := []map[string]any{}
		for _, d := range r.Dead {
			dead = append(dead, map[string]any{"at": d.At, "op": d.Op, "who": d.Who, "code": d.Code, "reason": d.Reason})
		}
		p := r.Portal
		remotes = append(remotes, map[string]any{
			"remote": r.Remote.String(), "owner": ownerWord(r), "by": r.By, "state": r.State, "connected": r.State == "connected", "name": p.Name,
			"waiting": p.Waiting, "lag_seconds": p.Lag.Seconds(), "delivered": p.Sent, "refused": p.Refused, "last_error": r.Error, "people": p.Puppets, "dead_letters": dead,
		})
	}
	return map[string]any{"room": s.Room.String(), "state": stateOf(s), "paused": s.Paused, "quarantined": s.Quarantined, "reason": s.Reason, "remotes": remotes}
}
