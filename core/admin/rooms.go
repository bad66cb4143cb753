package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// RoomReader is what the commands need of the store.
type RoomReader interface {
	Get(ctx context.Context, room string) (storage.RoomRow, error)
	List(ctx context.Context, service string, publicOnly bool, p storage.Page) ([]storage.RoomRow, error)
	Affiliations(ctx context.Context, room, affiliation string, p storage.Page) ([]storage.Affiliation, error)
}

// RoomKeeper is what the commands need of the group chat service of a running server.
type RoomKeeper interface {
	// Create makes a persistent room with the default configuration; storage conflicts are errors.
	Create(ctx context.Context, room jid.JID, name string, owner jid.JID) error
	// Destroy ends a room and removes what is kept of it.
	Destroy(ctx context.Context, room jid.JID, reason string) error
	// SetAffiliation changes an affiliation.
	SetAffiliation(ctx context.Context, room, who jid.JID, affiliation, reason string) error
	// Occupants returns the nicks in a room, in order; nil if nobody is there.
	Occupants(ctx context.Context, room jid.JID) []string
}

// Rooms are the commands "room …".
type Rooms struct {
	Store  RoomReader
	Keeper RoomKeeper // nil while the server is stopped
	// Services are the hosts of group chat.
	Services func() []string
}

// Commands returns the commands.
func (c *Rooms) Commands() []*Command {
	return []*Command{
		{Name: "room list", Args: "[SERVICE]", Max: 1, Stopped: true, Run: c.list, Short: "list the rooms",
			Flags: []Flag{{Name: "ownerless", Doc: "only rooms that nobody owns, such as those whose owner's account was deleted"}}},
		{Name: "room show", Args: "ROOM", Min: 1, Max: 1, Stopped: true, Run: c.show, Short: "show a room, its lists and who is there"},
		{Name: "room create", Args: "ROOM OWNER", Min: 2, Max: 2, Run: c.create, Flags: []Flag{{Name: "name", Value: "NAME", Doc: "the name to show"}},
			Short: "make a persistent room"},
		{Name: "room destroy", Args: "ROOM", Min: 1, Max: 1, Run: c.destroy, Short: "end a room and delete what is kept of it",
			Flags: []Flag{{Name: "reason", Value: "TEXT", Doc: "what the occupants are told"}, {Name: "yes", Doc: "do not ask"}}},
		{Name: "room affiliation", Args: "ROOM JID owner|admin|member|none|outcast", Min: 3, Max: 3, Run: c.affiliation,
			Flags: []Flag{{Name: "reason", Value: "TEXT", Doc: "what she is told"}}, Short: "change what a person is in a room"},
	}
}

func roomAddress(s string) (jid.JID, error) {
	j, err := jid.Parse(s)
	if err != nil || !j.IsBare() || !j.HasLocal() {
		return jid.JID{}, Usagef("%q is not the address of a room; write room@rooms.domain", s)
	}
	return j, nil
}

type roomInfo struct {
	JID          string              `json:"jid"`
	Name         string              `json:"name,omitempty"`
	Public       bool                `json:"public"`
	Created      time.Time           `json:"created"`
	Occupants    []string            `json:"occupants,omitempty"`
	Affiliations map[string][]string `json:"affiliations,omitempty"`
	Config       json.RawMessage     `json:"config,omitempty"`
}

func (c *Rooms) occupants(ctx context.Context, room string) []string {
	j, err := jid.Parse(room)
	if c.Keeper == nil || err != nil {
		return nil
	}
	return c.Keeper.Occupants(ctx, j)
}

func (c *Rooms) list(ctx context.Context, r *Request) (Result, error) {
	services := c.Services()
	if len(r.Args) == 1 {
		services = r.Args
	}
	infos := []roomInfo{}
	t := &Table{Columns: []string{"room", "name", "occupants", "public"}, Empty: "There are no rooms that are kept."}
	for _, s := range services {
		for page := (storage.Page{Limit: 500}); ; {
			rows, err := c.Store.List(ctx, s, false, page)
			if err != nil {
				return Result{}, err
			}
			for _, row := range rows {
				page.After = row.JID
				if r.Is("ownerless") {
					owners, err := c.Store.Affiliations(ctx, row.JID, "owner", storage.Page{Limit: 1})
					if err != nil {
						return Result{}, err
					}
					if len(owners) > 0 {
						continue
					}
				}
				i := roomInfo{JID: row.JID, Name: row.Name, Public: row.Public, Created: row.Created, Occupants: c.occupants(ctx, row.JID)}
				infos = append(infos, i)
				t.Rows = append(t.Rows, []string{i.JID, i.Name, strconv.Itoa(len(i.Occupants)), strconv.FormatBool(i.Public)})
			}
			if len(rows) < page.Limit {
				break
			}
		}
	}
	return Result{Data: infos, Table: t}, nil
}

func (c *Rooms) show(ctx context.Context, r *Request) (Result, error) {
	room, err := roomAddress(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	row, err := c.Store.Get(ctx, room.String())
	if errors.Is(err, storage.ErrNotFound) {
		return Result{}, fmt.Errorf("there is no room %s that is kept", room)
	}
	if err != nil {
		return Result{}, err
	}
	i := roomInfo{JID: row.JID, Name: row.Name, Public: row.Public, Created: row.Created, Occupants: c.occupants(ctx, row.JID),
		Affiliations: map[string][]string{}}
	if json.Valid(row.Config) {
		i.Config = row.Config
	}
	for page := (storage.Page{Limit: 1000}); ; {
		affs, err := c.Store.Affiliations(ctx, row.JID, "", page)
		if err != nil {
			return Result{}, err
		}
		for _, a := range affs {
			i.Affiliations[a.Affiliation] = append(i.Affiliations[a.Affiliation], a.JID)
			page.After = a.JID
		}
		if len(affs) < page.Limit {
			break
		}
	}
	return Result{Data: i, Text: i.text()}, nil
}

func (i roomInfo) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  name       %s\n  public     %t\n  created    %s\n", i.JID, printable(i.Name), i.Public, i.Created.Format(time.RFC3339))
	for _, a := range []string{"owner", "admin", "member", "outcast"} {
		if list := i.Affiliations[a]; len(list) > 0 {
			fmt.Fprintf(&b, "  %-10s %s\n", a, shorten(list))
		}
	}
	nicks := make([]string, len(i.Occupants))
	for k, n := range i.Occupants {
		nicks[k] = printable(n)
	}
	fmt.Fprintf(&b, "  occupants  %s", or(shorten(nicks), "none"))
	return b.String()
}

// shorten shows the first twenty of a list.
func shorten(list []string) string {
	if len(list) <= 20 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:20], ", "), len(list)-20)
}

func (c *Rooms) create(ctx context.Context, r *Request) (Result, error) {
	room, err := roomAddress(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	owner, err := jid.Parse(r.Args[1])
	if err != nil || !owner.IsBare() {
		return Result{}, Usagef("%q is not an address of a person", r.Args[1])
	}
	if err := c.Keeper.Create(ctx, room, r.Flag("name"), owner); err != nil {
		return Result{}, err
	}
	return Result{Data: map[string]string{"room": room.String(), "owner": owner.String()}, Text: fmt.Sprintf("%s was made; %s owns it.", room, owner)}, nil
}

func (c *Rooms) destroy(ctx context.Context, r *Request) (Result, error) {
	room, err := roomAddress(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	if !r.Is("yes") {
		return Result{}, Usagef("this ends %s and deletes its history and lists; say --yes", room)
	}
	if err := c.Keeper.Destroy(ctx, room, r.Flag("reason")); err != nil {
		return Result{}, err
	}
	return Result{Data: map[string]string{"room": room.String()}, Text: room.String() + " was destroyed."}, nil
}

func (c *Rooms) affiliation(ctx context.Context, r *Request) (Result, error) {
	room, err := roomAddress(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	who, err := jid.Parse(r.Args[1])
	if err != nil || !who.IsBare() {
		return Result{}, Usagef("%q is not an address of a person", r.Args[1])
	}
	switch r.Args[2] {
	case "owner", "admin", "member", "none", "outcast":
	default:
		return Result{}, Usagef("%q is no affiliation; use owner, admin, member, none or outcast", r.Args[2])
	}
	if err := c.Keeper.SetAffiliation(ctx, room, who, r.Args[2], r.Flag("reason")); err != nil {
		return Result{}, err
	}
	return Result{Data: map[string]string{"room": room.String(), "jid": who.String(), "affiliation": r.Args[2]},
		Text: fmt.Sprintf("%s is %s in %s.", who, r.Args[2], room)}, nil
}
