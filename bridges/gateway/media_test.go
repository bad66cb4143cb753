package gateway_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// shelf is a store of files that has what stands below https://example.org/f/: its name says what it is and how large.
type shelf struct{}

func (shelf) Put(context.Context, string, sdk.Media, io.Reader) (sdk.Media, error) {
	return sdk.Media{}, sdk.Unsupported("uploads")
}

func (shelf) Open(context.Context, string, sdk.MediaRequest) (sdk.MediaContent, error) {
	return sdk.MediaContent{}, sdk.Unsupported("reading")
}

func (shelf) URL(_ string, _ sdk.LoginID, _ sdk.PortalKey, m sdk.Media) string {
	return "https://example.org/proxy/" + m.Name
}

func (shelf) Known(_ context.Context, link string) (sdk.Media, bool) {
	name, ok := strings.CutPrefix(link, "https://example.org/f/")
	m := sdk.Media{ID: sdk.MediaID("shelf:" + name), Name: name, Type: "image/png", Size: 100}
	switch {
	case strings.HasPrefix(name, "huge"):
		m.Size = 1 << 30
	case strings.HasSuffix(name, ".exe"):
		m.Type = "application/x-dosexec"
	}
	return m, ok
}

func TestFilesOutward(t *testing.T) {
	w := newWorld(t, worldOptions{media: shelf{}})
	alice := w.in("alice")
	names := map[sdk.OpID]string{} // which message an operation belongs to: they come in order
	oob := func(link string) string {
		return "<body>" + link + "</body><x xmlns='jabber:x:oob'><url>" + link + "</url></x>"
	}
	for _, c := range []struct{ name, payload, id, text string }{
		{"one of ours", oob("https://example.org/f/cat.png"), "shelf:cat.png", ""},
		{"of another server", oob("https://elsewhere.test/f/cat.png"), "", "https://elsewhere.test/f/cat.png"},
		{"too big for the network", oob("https://example.org/f/huge.png"), "", "https://example.org/f/huge.png"},
		{"of a sort that it refuses", oob("https://example.org/f/x.exe"), "", "https://example.org/f/x.exe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			alice.Send("<message to='" + opsRoom + "' type='groupchat' id='" + c.name + "'>" + c.payload + "</message>")
			op := awaitOp(t, w.net, func(op *sdk.SendMessage) bool {
				if _, old := names[op.ID]; !old {
					names[op.ID] = c.name
				}
				return names[op.ID] == c.name
			})
			if c.id == "" {
				if len(op.Content.Attachments) != 0 || op.Content.Body.Plain() != c.text {
					t.Errorf("attachments %+v, text %q", op.Content.Attachments, op.Content.Body.Plain())
				}
				return
			}
			if len(op.Content.Attachments) != 1 || !op.Content.Body.Empty() {
				t.Fatalf("attachments %+v, text %q", op.Content.Attachments, op.Content.Body.Plain())
			}
			if m := op.Content.Attachments[0].Media; string(m.ID) != c.id || m.Type != "image/png" || m.Size != 100 || m.Lazy {
				t.Errorf("file %+v", m)
			}
		})
	}
}

func TestFilesInward(t *testing.T) {
	w := newWorld(t, worldOptions{media: shelf{}})
	alice := w.in("alice")
	e := says("@bob:hs", "$f", "")
	e.Content.Attachments = []sdk.Attachment{{Media: sdk.Media{ID: "remote/cat", Lazy: true, Name: "cat.png", Type: "image/png", Size: 7}, Inline: true}}
	w.deliver(e)
	n := alice.until("the file", func(n *xmlstream.Node) bool { return textOf(n) == "https://example.org/proxy/cat.png" })
	if n.Child("jabber:x:oob", "x") == nil || n.Child("urn:xmpp:sfs:0", "file-sharing") == nil {
		t.Errorf("message %v", n)
	}
}
