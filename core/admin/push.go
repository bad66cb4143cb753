package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// PushDevice is a device of an account that is woken through the service of its app (XEP-0357).
type PushDevice struct {
	Account  string     `json:"account"`
	Service  string     `json:"service"`
	Node     string     `json:"node,omitempty"`
	Client   string     `json:"client,omitempty"`  // the session that has enabled it
	Identity string     `json:"identity"`          // of that client
	Options  bool       `json:"publish_options"`   // publications carry what the client has given for it
	Enabled  time.Time  `json:"enabled"`           //
	Attempt  *time.Time `json:"attempt,omitempty"` // the last one
	Success  *time.Time `json:"success,omitempty"`
	Result   string     `json:"result,omitempty"` // of the last attempt
	Sent     int        `json:"sent"`
	Failures int        `json:"failures"` // in a row
	Unseen   int        `json:"unseen"`   // messages since the client was there
	State    string     `json:"state"`    // idle, waiting, asked
	Next     *time.Time `json:"next,omitempty"`
}

// PushKeeper is what the commands need of the push module of a running server.
type PushKeeper interface {
	// Accounts lists accounts with devices, in order, behind one.
	Accounts(ctx context.Context, after string, limit int) ([]string, error)
	// Devices returns those of an account, in the order in which they were enabled.
	Devices(ctx context.Context, who jid.JID) ([]PushDevice, error)
	// Test asks the services now; fn is told what each has answered. service "" is all, node nil any.
	Test(ctx context.Context, who jid.JID, service string, node *string, fn func(d PushDevice, result string, ok bool)) error
	// Remove forgets devices.
	Remove(ctx context.Context, who jid.JID, service string, node *string) (int, error)
}

// Pushes are the commands "push …".
type Pushes struct {
	Keeper PushKeeper // nil: there is no push
}

// Commands returns the commands.
func (c *Pushes) Commands() []*Command {
	const which = "Without SERVICE all devices of the account are meant, without NODE all of the service."
	return []*Command{
		{Name: "push list", Args: "[JID]", Max: 1, Run: c.list, Short: "list the devices of an account, or of all, that are woken through push services",
			Long: "No more than " + strconv.Itoa(maxListed) + " are shown."},
		{Name: "push show", Args: "JID [SERVICE [NODE]]", Min: 1, Max: 3, Run: c.show, Short: "show when devices were last woken, and what their services have said", Long: which},
		{Name: "push test", Args: "JID [SERVICE [NODE]]", Min: 1, Max: 3, Run: c.test, Short: "wake devices now and tell what their services answer",
			Long: which + " What is waiting after a failure is tried again with it."},
		{Name: "push remove", Args: "JID [SERVICE [NODE]]", Min: 1, Max: 3, Run: c.remove, Short: "wake devices no more",
			Long: which + " A client enables its device again when it connects the next time.", Flags: []Flag{{Name: "yes", Doc: "do not ask"}}},
	}
}

func (c *Pushes) ready() error {
	if c.Keeper == nil {
		return errors.New("there is no push on this server: push.on is false")
	}
	return nil
}

// target reads JID, SERVICE and NODE.
func (c *Pushes) target(args []string) (who jid.JID, service string, node *string, err error) {
	if err := c.ready(); err != nil {
		return who, "", nil, err
	}
	who, err = jid.Parse(args[0])
	if err != nil || !who.IsBare() || !who.HasLocal() {
		return who, "", nil, Usagef("%q is no address of an account", args[0])
	}
	if len(args) > 1 {
		s, err := jid.Parse(args[1])
		if err != nil {
			return who, "", nil, Usagef("%q is no address of a service", args[1])
		}
		service = s.String()
	}
	if len(args) > 2 {
		node = &args[2]
	}
	return who, service, node, nil
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

func (c *Pushes) list(ctx context.Context, r *Request) (Result, error) {
	if err := c.ready(); err != nil {
		return Result{}, err
	}
	list := []PushDevice{}
	add := func(who string) error {
		j, err := jid.Parse(who)
		if err != nil {
			return err
		}
		of, err := c.Keeper.Devices(ctx, j)
		if err != nil {
			return err
		}
		if list = append(list, of...); len(list) >= maxListed {
			list = list[:maxListed]
			return errEnough
		}
		return nil
	}
	err := c.each(ctx, r.Args, add)
	if err != nil && !errors.Is(err, errEnough) {
		return Result{}, err
	}
	t := &Table{Columns: []string{"account", "service", "node", "last attempt", "result", "sent", "failures"}, Empty: "No device is woken."}
	for _, d := range list {
		t.Rows = append(t.Rows, []string{d.Account, d.Service, d.Node, moment(d.Attempt), d.Result, strconv.Itoa(d.Sent), strconv.Itoa(d.Failures)})
	}
	return Result{Data: list, Table: t}, nil
}

// each calls add for the account that is named, or for all that have devices.
func (c *Pushes) each(ctx context.Context, args []string, add func(string) error) error {
	if len(args) == 1 {
		who, _, _, err := c.target(args)
		if err != nil {
			return err
		}
		return add(who.String())
	}
	after := ""
	for {
		page, err := c.Keeper.Accounts(ctx, after, 100)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, who := range page {
			if err := add(who); err != nil {
				return err
			}
		}
		after = page[len(page)-1]
	}
}

func moment(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// noDevice is the answer if none is meant by the arguments.
func noDevice(who jid.JID, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%s has no such device; see viaduct push list %s", who, who)
	}
	return fmt.Errorf("no device of %s is woken", who)
}

func (c *Pushes) show(ctx context.Context, r *Request) (Result, error) {
	who, service, node, err := c.target(r.Args)
	if err != nil {
		return Result{}, err
	}
	all, err := c.Keeper.Devices(ctx, who)
	if err != nil {
		return Result{}, err
	}
	list := []PushDevice{}
	var b strings.Builder
	for _, d := range all {
		if service != "" && d.Service != service || node != nil && d.Node != *node {
			continue
		}
		list = append(list, d)
		d.describe(&b)
	}
	if len(list) == 0 {
		return Result{}, noDevice(who, r.Args)
	}
	return Result{Data: list, Text: b.String()}, nil
}

// describe writes a device for people.
func (d *PushDevice) describe(b *strings.Builder) {
	fmt.Fprintf(b, "%s, node %q\n", d.Service, d.Node)
	fmt.Fprintf(b, "  enabled       %s by %s (%s)\n", moment(&d.Enabled), d.Client, d.Identity)
	result := ""
	if d.Attempt != nil {
		result = ": " + d.Result
	}
	fmt.Fprintf(b, "  last attempt  %s%s\n", moment(d.Attempt), result)
	fmt.Fprintf(b, "  last success  %s, %d in all\n", moment(d.Success), d.Sent)
	fmt.Fprintf(b, "  failures      %d in a row\n", d.Failures)
	state := d.State
	if d.Next != nil {
		state += ", no attempt before " + moment(d.Next)
	}
	fmt.Fprintf(b, "  now           %s; %d messages since the client was there\n", state, d.Unseen)
}

type pushOutcome struct {
	Service string `json:"service"`
	Node    string `json:"node,omitempty"`
	Result  string `json:"result"`
	OK      bool   `json:"ok"`
}

func (c *Pushes) test(ctx context.Context, r *Request) (Result, error) {
	who, service, node, err := c.target(r.Args)
	if err != nil {
		return Result{}, err
	}
	outcomes, failed := []pushOutcome{}, false
	t := &Table{Columns: []string{"service", "node", "answer"}}
	err = c.Keeper.Test(ctx, who, service, node, func(d PushDevice, result string, ok bool) {
		outcomes = append(outcomes, pushOutcome{d.Service, d.Node, result, ok})
		t.Rows = append(t.Rows, []string{d.Service, d.Node, result})
		failed = failed || !ok
	})
	if err != nil {
		return Result{}, err
	}
	if len(outcomes) == 0 {
		return Result{}, noDevice(who, r.Args)
	}
	return Result{Data: outcomes, Table: t, Failed: failed}, nil
}

func (c *Pushes) remove(ctx context.Context, r *Request) (Result, error) {
	who, service, node, err := c.target(r.Args)
	if err != nil {
		return Result{}, err
	}
	if !r.Is("yes") {
		return Result{}, Usagef("the devices are woken no more until their clients ask for it again; say --yes")
	}
	n, err := c.Keeper.Remove(ctx, who, service, node)
	if err != nil {
		return Result{}, err
	}
	if n == 0 {
		return Result{}, noDevice(who, r.Args)
	}
	return Result{Data: map[string]int{"removed": n}, Text: fmt.Sprintf("%d devices were removed.", n)}, nil
}
