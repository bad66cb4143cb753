package discord

import (
	"context"
	"io"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// fileLimit is what a server takes in one file; boosts raise it ("Uploading Files").
func fileLimit(tier int) int64 {
	switch tier {
	case 2:
		return 50 << 20
	case 3:
		return 100 << 20
	}
	return 10 << 20
}

// open reads the files of an operation. Those that Discord does not take become
// links; they stay where they are.
func (c *Connector) open(ctx context.Context, to target, content sdk.Content) ([]upload, []richtext.Node, error) {
	_, _, tier := c.world.guildOf(to.room.GuildID)
	limit := min(fileLimit(tier), limitRequest)
	var files []upload
	var links []richtext.Node
	for _, a := range content.Attachments {
		data, kind, err := c.readFile(ctx, a.Media, limit)
		if err != nil {
			return nil, nil, err
		}
		name := a.Media.Name
		if name == "" {
			name = "file"
		}
		if data == nil {
			if a.Media.URL == "" {
				return nil, nil, sdk.Refuse(sdk.CodeTooBig, "a file on this server of Discord's may have %d MiB", limit>>20)
			}
			links = append(links, richtext.Para(richtext.Link(a.Media.URL, richtext.Text(name))))
			continue
		}
		if content.Spoiler {
			name = "SPOILER_" + name
		}
		files = append(files, upload{Name: name, Type: kind, Data: data})
	}
	return files, links, nil
}

// readFile reads a file; nil if it is over the limit.
func (c *Connector) readFile(ctx context.Context, m sdk.Media, limit int64) ([]byte, string, error) {
	if m.Size > limit && m.URL != "" {
		return nil, "", nil
	}
	body, err := c.host.Open(ctx, sdk.MediaRequest{ID: m.ID})
	if err != nil {
		return nil, "", err
	}
	defer body.Body.Close()
	data, err := io.ReadAll(io.LimitReader(body.Body, limit+1))
	if err != nil {
		return nil, "", &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "the file could not be read", Err: err}
	}
	if int64(len(data)) > limit {
		return nil, "", nil
	}
	if data == nil {
		data = []byte{}
	}
	kind := m.Type
	if kind == "" {
		kind = body.Type
	}
	return data, kind, nil
}
