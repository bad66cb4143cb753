package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Media ids of ours:
//
//	file:F012ABC          a file; its address is asked for at each download
//	face:U012ABC:hash     a person's picture
//	emoji:name            the picture of a custom emoji
//	icon:https://…        the picture of an app's message, on Slack's own hosts only

func emojiMedia(name string) string { return "emoji:" + name }

// face is somebody's picture; nil if there is none.
func (c *Connector) face(u user) *sdk.Media {
	if u.picture() == "" {
		return nil
	}
	key := u.Profile.AvatarHash
	if key == "" {
		key = u.picture()
	}
	if len(key) > 200 {
		key = key[len(key)-200:]
	}
	return &sdk.Media{ID: sdk.MediaID("face:" + u.ID + ":" + key), Lazy: true, Key: "slack-face:" + u.ID + ":" + key, Size: -1}
}

func (u user) picture() string {
	for _, s := range []string{u.Profile.Image192, u.Profile.Image512, u.Profile.Image72} {
		if s != "" {
			return s
		}
	}
	return ""
}

// icon is the picture that an app chose for one message.
func (c *Connector) icon(i slackgo.Icons) *sdk.Media {
	address := i.Image72
	if address == "" {
		address = i.Image48
	}
	if !c.trusted(address) {
		return nil
	}
	return &sdk.Media{ID: sdk.MediaID("icon:" + address), Lazy: true, Key: address, Size: -1}
}

// trusted reports whether an address is one of Slack's: nothing else is ever fetched.
func (c *Connector) trusted(address string) bool {
	u, err := url.Parse(address)
	if err != nil || len(address) > 2000 {
		return false
	}
	host := u.Hostname()
	return u.Scheme == "https" && (strings.HasSuffix(host, ".slack-edge.com") || strings.HasSuffix(host, ".gravatar.com")) || c.private(address)
}

// private reports whether an address may be sent the token: Slack's own hosts, and
// the one that the Web API is on.
func (c *Connector) private(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	api, err := url.Parse(c.api.base)
	if err == nil && u.Scheme == api.Scheme && u.Host == api.Host && u.Host != "slack.com" {
		return true
	}
	host := u.Hostname()
	return u.Scheme == "https" && (host == "slack.com" || strings.HasSuffix(host, ".slack.com") || strings.HasSuffix(host, ".slack-gov.com"))
}

// attachment reads a file of a message. One that is elsewhere, or gone, is a line of
// text instead.
func (c *Connector) attachment(ctx context.Context, f *file) (*sdk.Attachment, richtext.Document, error) {
	if !slackid.IsFile(f.ID) {
		return nil, richtext.Document{}, nil
	}
	if f.FileAccess == "check_file_info" || f.Name == "" && f.Mode != "tombstone" && f.Mode != "hidden_by_limit" {
		full, err := c.fileInfo(ctx, f.ID)
		if err != nil && sdk.AsError(err).Temporary {
			return nil, richtext.Document{}, err
		}
		if err == nil {
			f = full
		} else {
			f = &file{File: slackgo.File{ID: f.ID, Mode: "tombstone"}}
		}
	}
	label := firstText(f.Title, f.Name, "file")
	switch {
	case f.Mode == "tombstone" || f.Mode == "hidden_by_limit":
		return nil, richtext.FromPlain("(a file that is no longer on Slack)"), nil
	case f.IsExternal || f.Mode == "external" || f.URLPrivateDownload == "" && f.URLPrivate == "":
		external := ""
		if f.ExternalURL != nil {
			external = *f.ExternalURL
		}
		link := firstText(external, f.URLPrivate, f.Permalink)
		if link == "" {
			return nil, richtext.FromPlain("(a file: " + label + ")"), nil
		}
		return nil, richtext.Doc(richtext.Para(richtext.Link(link, richtext.Text(label)))), nil
	}
	m := sdk.Media{ID: sdk.MediaID("file:" + f.ID), Lazy: true, Key: "slack:" + f.ID, Name: fileName(firstText(f.Name, f.Title, "file")), Type: f.Mimetype, Size: int64(f.Size),
		Width: max(f.OriginalW, 0), Height: max(f.OriginalH, 0), Duration: time.Duration(f.DurationMs) * time.Millisecond}
	if m.Size <= 0 {
		m.Size = -1
	}
	major, _, _ := strings.Cut(f.Mimetype, "/")
	return &sdk.Attachment{Media: m, Inline: major == "image" || major == "video" || major == "audio", Voice: f.Subtype == "slack_audio"}, richtext.Document{}, nil
}

func firstText(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// fileName is a name without a path.
func fileName(s string) string {
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	return cut(strings.TrimSpace(s), 200)
}

// cut shortens a text to so many characters.
func cut(s string, limit int) string {
	n := 0
	for i := range s {
		if n == limit {
			return s[:i]
		}
		n++
	}
	return s
}

func (c *Connector) fileInfo(ctx context.Context, id string) (*file, error) {
	var out struct {
		File file `json:"file"`
	}
	_, err := c.api.call(ctx, "files.info", &out, func(ctx context.Context, client *slackgo.Client) error {
		f, _, _, err := client.GetFileInfoContext(ctx, id, 0, 0)
		if err == nil {
			out.File.File = *f
		}
		return err
	})
	if err != nil {
		return nil, explain("cannot look the file up", err)
	}
	return &out.File, nil
}

// FetchMedia implements sdk.MediaSource.
func (c *Connector) FetchMedia(ctx context.Context, r sdk.MediaRequest) (sdk.MediaContent, error) {
	sort, rest, _ := strings.Cut(string(r.ID), ":")
	switch sort {
	case "file":
		if !slackid.IsFile(rest) {
			break
		}
		f, err := c.fileInfo(ctx, rest)
		if err != nil {
			return sdk.MediaContent{}, err
		}
		return c.fetch(ctx, firstText(f.URLPrivateDownload, f.URLPrivate), r.Range, f)
	case "face":
		id, _, _ := strings.Cut(rest, ":")
		u, err := c.people.get(ctx, id)
		if err != nil {
			return sdk.MediaContent{}, err
		}
		return c.fetch(ctx, u.picture(), r.Range, nil)
	case "emoji":
		return c.fetch(ctx, c.people.emojiURL(ctx, rest), r.Range, nil)
	case "icon":
		return c.fetch(ctx, rest, r.Range, nil)
	}
	return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "there is no such file on Slack")
}

// fetch gets an address; with the token, if it is that of a file f.
func (c *Connector) fetch(ctx context.Context, address string, rng sdk.Range, f *file) (sdk.MediaContent, error) {
	if f != nil && !c.private(address) || f == nil && !c.trusted(address) {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "the file is not on Slack")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "the file has no address")
	}
	if f != nil {
		req.Header.Set("Authorization", "Bearer "+c.api.bot)
	}
	if !rng.IsZero() {
		to := ""
		if rng.Length > 0 {
			to = fmt.Sprint(rng.Offset + rng.Length - 1)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%s", rng.Offset, to))
	}
	resp, err := c.download().Do(req)
	if err != nil {
		return sdk.MediaContent{}, explain("cannot fetch the file", fmt.Errorf("fetch a file: %w", err))
	}
	out, err := fetched(resp, f)
	if err != nil {
		_ = resp.Body.Close()
		return sdk.MediaContent{}, err
	}
	return out, nil
}

// download is the client without the timeout of calls; a redirection to a foreign host is
// an error, so that the token goes nowhere.
func (c *Connector) download() *http.Client {
	return &http.Client{Transport: c.api.http.Transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > 5 || !c.trusted(req.URL.String()) {
			return errors.New("slack: a file redirects elsewhere")
		}
		return nil
	}}
}

// fetched checks what came: a page where a file should be is the one to sign in.
func fetched(resp *http.Response, f *file) (sdk.MediaContent, error) {
	kind := resp.Header.Get("Content-Type")
	if f != nil && strings.HasPrefix(kind, "text/html") && !strings.HasPrefix(f.Mimetype, "text/html") {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeForbidden, "Slack does not give the file to the bot (scope files:read)")
	}
	out := sdk.MediaContent{Body: resp.Body, Type: kind, Size: resp.ContentLength}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusPartialContent:
		var from, to int64
		if n, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &out.Size); err != nil || n != 3 {
			return sdk.MediaContent{}, sdk.RetryAfter(0, errors.New("slack: a part of a file without its place"))
		}
		out.Range = sdk.Range{Offset: from, Length: to - from + 1}
	case http.StatusNotFound, http.StatusGone, http.StatusForbidden:
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "the file is no longer on Slack")
	case http.StatusTooManyRequests:
		return sdk.MediaContent{}, sdk.RetryAfter(5*time.Second, fmt.Errorf("fetch a file: %w", statusError(resp.StatusCode)))
	default:
		return sdk.MediaContent{}, explain("cannot fetch the file", fmt.Errorf("fetch a file: %w", statusError(resp.StatusCode)))
	}
	if f != nil {
		out.Name, out.Type = fileName(f.Name), firstText(f.Mimetype, kind)
	}
	return out, nil
}
