package demo

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// lazyMedia describes a file of the network: the server fetches it when somebody
// looks. A network whose links expire would use Host.Upload at once instead.
func lazyMedia(f demonet.File) sdk.Media {
	return sdk.Media{ID: sdk.MediaID(f.ID), Lazy: true, Key: f.ID, Name: f.Name, Type: f.Type, Size: f.Size}
}

// upload copies a file of an operation to the network: the server streams it to
// us, we stream it on.
func (c *Connector) upload(ctx context.Context, m sdk.Media) (demonet.File, error) {
	if m.Size > demonet.MaxFile {
		return demonet.File{}, sdk.Refuse(sdk.CodeTooBig, "a file may have %d bytes", demonet.MaxFile)
	}
	content, err := c.host.Open(ctx, sdk.MediaRequest{ID: m.ID})
	if err != nil {
		return demonet.File{}, err
	}
	defer content.Body.Close()
	name, kind := m.Name, m.Type
	if name == "" {
		name = content.Name
	}
	if kind == "" {
		kind = content.Type
	}
	f, err := c.api.Upload(ctx, name, kind, content.Body)
	return f, fail(err)
}

// FetchMedia implements sdk.MediaSource.
func (c *Connector) FetchMedia(ctx context.Context, r sdk.MediaRequest) (sdk.MediaContent, error) {
	f, body, err := c.api.Download(ctx, string(r.ID), r.Range.Offset, r.Range.Length)
	if err != nil {
		return sdk.MediaContent{}, fail(err)
	}
	out := sdk.MediaContent{Body: body, Type: f.Type, Name: f.Name, Size: f.Size, Range: r.Range}
	if !r.Range.IsZero() { // say what is really there
		left := f.Size - r.Range.Offset
		if r.Range.Length == 0 || r.Range.Length > left {
			out.Range.Length = left
		}
	}
	return out, nil
}
