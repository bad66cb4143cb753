package gateway

import (
	"context"
	"net/http"
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Files: what the network has is a link for people here, and what people here share goes to the network as a file where it takes one, else as the link that it was.

// FetchMedia gets a lazy file from a bridge's plugin.
func (m *Module) FetchMedia(ctx context.Context, bridge string, r sdk.MediaRequest) (sdk.MediaContent, error) {
	b := m.byName[bridge]
	if b == nil {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "there is no bridge %q", bridge)
	}
	i := b.current()
	if i == nil {
		return sdk.MediaContent{}, sdk.ErrSessionLost
	}
	return i.remote.FetchMedia(ctx, r)
}

// OpenFace reads the picture of an account for a link that a network follows.
func (m *Module) OpenFace(ctx context.Context, bridge string, r sdk.MediaRequest) (sdk.MediaContent, error) {
	b := m.byName[bridge]
	if b == nil {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "there is no bridge %q", bridge)
	}
	c, ok, err := b.openFace(ctx, r)
	if !ok && err == nil {
		err = sdk.Refuse(sdk.CodeNotFound, "there is no such picture")
	}
	return c, err
}

// ServePlugin passes a request on to a bridge's plugin, which sees the path behind "/bridge/NAME". It answers 404 if there is no such bridge or it takes none, 503 if
// its plugin is away.
func (m *Module) ServePlugin(w http.ResponseWriter, r *http.Request) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/bridge/"), "/")
	b := m.byName[name]
	switch {
	case b == nil:
		http.NotFound(w, r)
		return
	case b.current() == nil:
		w.Header().Set("Retry-After", "10")
		http.Error(w, "The bridge is not running.", http.StatusServiceUnavailable)
		return
	case !b.can(sdk.AbilityHTTP):
		http.NotFound(w, r)
		return
	}
	i := b.current()
	if i == nil {
		http.Error(w, "The bridge is not running.", http.StatusServiceUnavailable)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path, inner.URL.RawPath = "/"+rest, ""
	i.remote.ServeHTTP(w, inner)
}

// carry makes the files of a message what the network can take: those that the server has, with all that it knows of them; the others become links in the text.
func (p *portal) carry(ctx context.Context, c *sdk.Content) {
	var keep []sdk.Attachment
	for _, a := range c.Attachments {
		if known, ok := p.known(ctx, a.Media); ok && p.takes(known, len(keep)) {
			a.Media = known
			keep = append(keep, a)
			continue
		}
		link := richtext.Para(richtext.Link(a.Media.URL, richtext.Text(a.Media.URL)))
		c.Body = richtext.Join(c.Body, a.Caption, richtext.Doc(link))
	}
	c.Attachments = keep
}

// known completes what a message says of a file by what the server knows; the latter counts.
func (p *portal) known(ctx context.Context, m sdk.Media) (sdk.Media, bool) {
	if p.b.m.o.Media == nil {
		return m, false
	}
	have, ok := p.b.m.o.Media.Known(ctx, m.URL)
	if !ok {
		return m, false
	}
	m.ID, m.Name, m.Lazy = have.ID, firstOf(m.Name, have.Name), false
	m.Type = firstOf(have.Type, m.Type)
	if have.Size >= 0 {
		m.Size = have.Size
	}
	return m, true
}

// takes tells whether the network takes a file as one.
func (p *portal) takes(m sdk.Media, before int) bool {
	c := p.caps().Files
	if c.Level == sdk.LevelNone || c.MaxSize > 0 && m.Size > c.MaxSize || c.Count > 0 && before >= c.Count {
		return false
	}
	if len(c.Types) == 0 {
		return true
	}
	for _, t := range c.Types {
		if t == m.Type || strings.HasSuffix(t, "/*") && strings.HasPrefix(m.Type, strings.TrimSuffix(t, "*")) {
			return true
		}
	}
	return false
}
