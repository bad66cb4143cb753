package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixfmt"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// maxUpload bounds a file whose size nobody stated.
const maxUpload = 100 << 20

// upload copies a file of the server to the homeserver.
func (c *Connector) upload(ctx context.Context, user id.UserID, req sdk.MediaRequest, info sdk.Media) (id.ContentURI, error) {
	file, err := c.host.Open(ctx, req)
	if err != nil {
		return id.ContentURI{}, err
	}
	defer file.Body.Close()
	kind := info.Type
	if kind == "" {
		kind = file.Type
	}
	if kind == "" {
		kind = "application/octet-stream"
	}
	data := mautrix.ReqUploadMedia{Content: file.Body, ContentLength: file.Size, ContentType: kind, FileName: info.Name}
	if file.Size < 0 {
		// A homeserver wants to know beforehand how much comes.
		raw, err := io.ReadAll(io.LimitReader(file.Body, maxUpload+1))
		if err != nil {
			return id.ContentURI{}, sdk.RetryAfter(0, fmt.Errorf("read the file: %w", err))
		}
		if len(raw) > maxUpload {
			return id.ContentURI{}, sdk.Refuse(sdk.CodeTooBig, "the file is too big for Matrix")
		}
		data.Content, data.ContentLength, data.ContentBytes = nil, 0, raw
	}
	resp, err := c.hs.as(user).UploadMedia(ctx, data)
	if err != nil {
		if errcode(err) == "M_TOO_LARGE" {
			return id.ContentURI{}, sdk.Refuse(sdk.CodeTooBig, "the file is too big for the homeserver")
		}
		return id.ContentURI{}, explain("cannot upload", err)
	}
	return resp.ContentURI, nil
}

// attach uploads an attachment and fills in the content of its event.
func (c *Connector) attach(ctx context.Context, user id.UserID, out outgoing) error {
	m := out.file.Media
	uri, err := c.upload(ctx, user, sdk.MediaRequest{ID: m.ID}, m)
	if err != nil {
		return err
	}
	name := m.Name
	if name == "" {
		name = "file"
	}
	info := map[string]any{}
	put := func(key string, value int64) {
		if value > 0 {
			info[key] = value
		}
	}
	put("size", m.Size)
	put("w", int64(m.Width))
	put("h", int64(m.Height))
	put("duration", m.Duration.Milliseconds())
	if m.Type != "" {
		info["mimetype"] = m.Type
	}
	if m.Blurhash != "" {
		info["xyz.amorgan.blurhash"] = m.Blurhash
	}
	content := out.content
	content["msgtype"], content["body"], content["filename"] = msgtypeOf(m.Type), name, name
	content["url"], content["info"] = uri.String(), info
	content["m.mentions"] = map[string]any{}
	if out.file.Voice {
		content["org.matrix.msc3245.voice"] = map[string]any{}
	}
	if !out.file.Caption.Empty() {
		content["body"] = out.file.Caption.Plain()
		c.format(content, out.file.Caption)
	}
	return nil
}

func msgtypeOf(mime string) string {
	major, _, _ := strings.Cut(mime, "/")
	types := map[string]event.MessageType{"image": event.MsgImage, "video": event.MsgVideo, "audio": event.MsgAudio}
	if t, ok := types[major]; ok {
		return string(t)
	}
	return string(event.MsgFile)
}

// lazyMedia is a file of Matrix that is fetched when somebody opens it.
func lazyMedia(uri string) (sdk.Media, bool) {
	parsed, err := id.ParseContentURI(uri)
	if err != nil || parsed.IsEmpty() {
		return sdk.Media{}, false
	}
	return sdk.Media{ID: sdk.MediaID(uri), Lazy: true, Key: uri, Size: -1}, true
}

func face(uri string) *sdk.Media {
	m, ok := lazyMedia(uri)
	if !ok {
		return nil
	}
	return &m
}

// attachment reads the file of a message.
func attachment(m *event.MessageEventContent) (sdk.Attachment, bool) {
	if m.File != nil || m.URL == "" {
		return sdk.Attachment{}, false // end-to-end encrypted: nobody here could open it
	}
	media, ok := lazyMedia(string(m.URL))
	if !ok {
		return sdk.Attachment{}, false
	}
	media.Name = m.Body
	if m.FileName != "" {
		media.Name = m.FileName
	}
	media.Name = fileName(media.Name)
	if i := m.Info; i != nil {
		media.Type = i.MimeType
		media.Size = int64(i.Size)
		media.Width, media.Height = max(i.Width, 0), max(i.Height, 0)
		media.Duration = millis(i.Duration)
		media.Blurhash = firstOf(i.Blurhash, i.AnoaBlurhash)
		if thumb, ok := lazyMedia(string(i.ThumbnailURL)); ok {
			media.Thumbnail = &thumb
		}
		if media.Size <= 0 {
			media.Size = -1
		}
	}
	a := sdk.Attachment{Media: media, Inline: m.MsgType != event.MsgFile, Voice: m.MSC3245Voice != nil}
	if m.FileName != "" && m.FileName != m.Body {
		a.Caption = bodyOf(m)
	}
	return a, true
}

// bodyOf is the text of a message or caption.
func bodyOf(m *event.MessageEventContent) richDocument {
	if m.Format == event.FormatHTML && m.FormattedBody != "" {
		if doc := matrixfmt.Parse(m.FormattedBody); !doc.Empty() {
			return doc
		}
	}
	return plainDocument(m.Body)
}

func fileName(s string) string {
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	return short(strings.TrimSpace(s), 200)
}

// FetchMedia implements sdk.MediaSource. Homeservers before v1.11 know only the
// download without authorisation.
func (c *Connector) FetchMedia(ctx context.Context, r sdk.MediaRequest) (sdk.MediaContent, error) {
	uri, err := id.ParseContentURI(string(r.ID))
	if err != nil || uri.IsEmpty() {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeInvalid, "no Matrix file")
	}
	hs, bot, err := c.bot()
	if err != nil {
		return sdk.MediaContent{}, err
	}
	var resp *http.Response
	for _, version := range []string{"v1", "v3"} {
		resp, err = hs.download(ctx, bot, uri, r, version) //nolint:bodyclose // its body is given to the caller
		if err == nil || errcode(err) != "M_UNRECOGNIZED" && !isStatus(err, http.StatusNotFound) {
			break
		}
	}
	if err != nil {
		return sdk.MediaContent{}, explain("cannot fetch the file", err)
	}
	out := sdk.MediaContent{Body: resp.Body, Type: resp.Header.Get("Content-Type"), Size: resp.ContentLength}
	if from, size, ok := contentRange(resp); ok {
		out.Range = sdk.Range{Offset: from, Length: resp.ContentLength}
		out.Size = size
	}
	return out, nil
}

func (h *homeserver) download(ctx context.Context, user id.UserID, uri id.ContentURI, r sdk.MediaRequest, version string) (*http.Response, error) {
	api := h.as(user)
	kind, query := "download", url.Values{}
	if r.Thumbnail > 0 {
		kind = "thumbnail"
		size := strconv.Itoa(min(r.Thumbnail, 1600))
		query.Set("width", size)
		query.Set("height", size)
		query.Set("method", "scale")
	}
	fill := func(q url.Values) {
		for k, v := range query {
			q[k] = v
		}
	}
	address := api.BuildURLWithFullQuery(mautrix.ClientURLPath{"v1", "media", kind, uri.Homeserver, uri.FileID}, fill)
	if version == "v3" {
		address = api.BuildURLWithFullQuery(mautrix.MediaURLPath{"v3", kind, uri.Homeserver, uri.FileID}, fill)
	}
	headers := http.Header{}
	if !r.Range.IsZero() {
		to := ""
		if r.Range.Length > 0 {
			to = strconv.FormatInt(r.Range.Offset+r.Range.Length-1, 10)
		}
		headers.Set("Range", fmt.Sprintf("bytes=%d-%s", r.Range.Offset, to))
	}
	_, resp, err := api.MakeFullRequestWithResp(ctx, mautrix.FullRequest{Method: http.MethodGet, URL: address, Headers: headers, DontReadResponse: true})
	return resp, err
}

// contentRange reads "bytes 5-9/10" of a partial answer.
func contentRange(resp *http.Response) (from, size int64, ok bool) {
	if resp.StatusCode != http.StatusPartialContent {
		return 0, 0, false
	}
	var to int64
	n, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &size)
	return from, size, err == nil && n == 3
}

func isStatus(err error, status int) bool {
	var h mautrix.HTTPError
	return errors.As(err, &h) && h.IsStatus(status)
}
