package demo

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// faultEnv names a fault that the bridge of TestContractInProcess has: the suite
// has to find it.
const faultEnv = "VIADUCT_TEST_FAULT"

func TestSuiteFindsFaults(t *testing.T) {
	if os.Getenv(faultEnv) != "" {
		t.Skip("this is the faulty one")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for fault, part := range map[string]string{
		"forgets keys":      "operations again",
		"forgets failures":  "acks that fail",
		"turns batches":     "messages in order",
		"takes echoes":      "echo",
		"only says so":      "react",
		"knows no ranges":   "files in",
		"gives up":          "outage",
		"never drains":      "drain",
		"loses cursors":     "resume",
		"drops long texts":  "send long",
		"pages twice":       "members in pages",
		"takes any config":  "configuration",
		"acts for everyone": "login",
		"panics":            "hostile operations",
	} {
		t.Run(fault, func(t *testing.T) {
			pattern := "^TestContractInProcess$/^" + strings.ReplaceAll(part, " ", "_") + "$"
			cmd := exec.CommandContext(t.Context(), exe, "-test.run="+pattern, "-test.timeout=20s", "-test.v")
			cmd.Env = append(os.Environ(), faultEnv+"="+fault, "VIADUCT_TEST_WAIT=2s")
			out, err := cmd.CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("--- FAIL: TestContractInProcess/"+strings.ReplaceAll(part, " ", "_"))) {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// faulty puts a fault into a bridge.
func faulty(fault string, c *Connector) sdk.Bridge {
	if fault == "" {
		return c
	}
	return &broken{Connector: c, fault: fault}
}

type broken struct {
	*Connector
	fault string
}

func (b *broken) Configure(ctx context.Context, conf sdk.Configuration) error {
	if b.fault == "takes any config" {
		_ = b.Connector.Configure(ctx, conf)
		return nil
	}
	return b.Connector.Configure(ctx, conf)
}

func (b *broken) Start(ctx context.Context, h sdk.Host, r sdk.Resume) error {
	if b.fault == "loses cursors" && !r.First {
		r.Cursors = []sdk.CursorMark{{Cursor: "0"}}
	}
	return b.Connector.Start(ctx, &brokenHost{h, b.fault}, r)
}

func (b *broken) Send(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
	c := *op
	switch b.fault {
	case "forgets keys":
		c.ID += sdk.OpID(strings.Repeat("x", op.Attempt))
	case "acts for everyone":
		c.Login = ""
	case "panics":
		if op.Sender.Person == "" {
			panic("nobody")
		}
		if op.Portal.Room == "" {
			return sdk.Delivered{}, nil
		}
	}
	d, err := b.Connector.Send(ctx, &c)
	if b.fault == "gives up" && err != nil {
		return d, sdk.Refuse(sdk.CodeForbidden, "no")
	}
	if b.fault == "drops long texts" && len(d.Parts) > 1 {
		d.Parts = d.Parts[:len(d.Parts)-1]
	}
	return d, err
}

func (b *broken) React(ctx context.Context, op *sdk.SetReactions) (sdk.Delivered, error) {
	if b.fault == "only says so" {
		return sdk.Delivered{}, nil
	}
	return b.Connector.React(ctx, op)
}

func (b *broken) FetchMedia(ctx context.Context, r sdk.MediaRequest) (sdk.MediaContent, error) {
	if b.fault != "knows no ranges" {
		return b.Connector.FetchMedia(ctx, r)
	}
	asked := r.Range
	r.Range = sdk.Range{}
	c, err := b.Connector.FetchMedia(ctx, r)
	c.Range = asked
	return c, err
}

func (b *broken) ChatInfo(ctx context.Context, r sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	info, err := b.Connector.ChatInfo(ctx, r)
	if b.fault == "pages twice" && r.After == "" && r.Members == 3 {
		info.NextMembers = "2"
	}
	return info, err
}

func (b *broken) Drain(ctx context.Context) error {
	if b.fault == "never drains" {
		return nil
	}
	return b.Connector.Drain(ctx)
}

// brokenHost is what a bridge makes of its host.
type brokenHost struct {
	sdk.Host
	fault string
}

func (h *brokenHost) Deliver(ctx context.Context, b sdk.Batch) (sdk.Receipt, error) {
	switch h.fault {
	case "turns batches":
		slices.Reverse(b.Events)
	case "takes echoes":
		for _, e := range b.Events {
			e.Head().Origin, e.Head().Own = "", false
		}
	case "forgets failures":
		if r, err := h.Host.Deliver(ctx, b); err == nil {
			return r, nil
		}
		return sdk.Receipt{}, nil
	}
	return h.Host.Deliver(ctx, b)
}
