package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// apiOptions are what newAPI needs.
type apiOptions struct {
	Base, Token string
	Timeout     time.Duration
	Now         func() time.Time
	After       func(time.Duration) <-chan time.Time
	Client      *http.Client
}

// api speaks to Discord's REST API and keeps its limits.
type api struct {
	opt    apiOptions
	limits *limits
}

func newAPI(o apiOptions) *api { return &api{opt: o, limits: newLimits(o.Now)} }

// call is a request.
type call struct {
	Method string
	Path   string // with its ids
	Route  string // the path without minor ids: what a rate limit is for
	Query  string
	Body   any
	Files  []upload
	Anon   bool // a webhook's: its token is in the path
}

// upload is a file of a message.
type upload struct {
	Name, Type string
	Data       []byte
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// do makes a request and decodes the answer into out, if that is not nil.
func (a *api) do(ctx context.Context, c call, out any) error {
	if c.Route == "" {
		c.Route = c.Path
	}
	key := c.Method + " " + c.Route
	if err := a.limits.wait(ctx, key, c.Anon, a.opt.After); err != nil {
		return err
	}
	body, contentType, err := c.encode()
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.opt.Timeout)
	defer cancel()
	address := a.opt.Base + c.Path
	if c.Query != "" {
		address += "?" + c.Query
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, address, body)
	if err != nil {
		return fmt.Errorf("make %s: %w", key, err)
	}
	req.Header.Set("User-Agent", "DiscordBot (https://github.com/viaduct-xmpp/viaduct, "+version()+")")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if !c.Anon {
		req.Header.Set("Authorization", "Bot "+a.opt.Token)
	}
	resp, err := a.opt.Client.Do(req)
	if err != nil {
		return &unsure{strip(err)}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return &unsure{err}
	}
	return a.answer(key, resp, raw, out)
}

// strip leaves the address out of an error: a webhook's has its token in it.
func strip(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.Contains(err.Error(), "://") {
			return err
		}
		err = inner
	}
}

// answer reads the headers and the body of an answer.
func (a *api) answer(key string, resp *http.Response, raw []byte, out any) error {
	a.limits.seen(key, resp)
	if resp.StatusCode/100 == 2 {
		if out == nil || len(raw) == 0 {
			return nil
		}
		if err := json.Unmarshal(raw, out); err != nil {
			// It was done; only what came of it cannot be read.
			return &unsure{fmt.Errorf("read the answer to %s: %w", key, err)}
		}
		return nil
	}
	e := &apiError{Status: resp.StatusCode, HTML: !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")}
	var body struct {
		Code    int     `json:"code"`
		Message string  `json:"message"`
		After   float64 `json:"retry_after"`
		Global  bool    `json:"global"`
	}
	if e.HTML || json.Unmarshal(raw, &body) != nil {
		e.Message = resp.Status
	} else {
		e.Code, e.Message = body.Code, body.Message
	}
	a.limits.refused(key, resp.StatusCode, resp.Header.Get("X-RateLimit-Scope") == "shared")
	if resp.StatusCode == http.StatusTooManyRequests {
		pause := time.Duration(body.After * float64(time.Second))
		if pause == 0 {
			s, _ := strconv.ParseFloat(resp.Header.Get("Retry-After"), 64)
			pause = time.Duration(s * float64(time.Second))
		}
		if e.HTML && pause == 0 {
			pause = 10 * time.Minute
		}
		a.limits.pause(key, pause, body.Global || e.HTML)
		return later(pause, e)
	}
	if e.Status >= 500 {
		return &unsure{e}
	}
	return e
}

// encode makes JSON, or multipart with the JSON as payload_json ("Uploading Files").
func (c call) encode() (io.Reader, string, error) {
	if c.Body == nil && len(c.Files) == 0 {
		return http.NoBody, "", nil
	}
	raw, err := json.Marshal(c.Body)
	if err != nil || len(c.Files) == 0 {
		return bytes.NewReader(raw), "application/json", err
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="payload_json"`}, "Content-Type": {"application/json"}})
	if err != nil {
		return nil, "", err
	}
	_, _ = part.Write(raw) // into memory
	for i, f := range c.Files {
		name := strings.NewReplacer(`\`, "_", `"`, "_", "\r", "_", "\n", "_").Replace(f.Name)
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name="files[%d]"; filename="%s"`, i, name)}}
		if f.Type != "" {
			h.Set("Content-Type", f.Type)
		}
		part, err := w.CreatePart(h)
		if err != nil {
			return nil, "", err
		}
		_, _ = part.Write(f.Data)
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return &b, w.FormDataContentType(), nil
}

// get reads something.
func get[T any](ctx context.Context, a *api, path, query string) (T, error) {
	var out T
	err := a.do(ctx, call{Method: http.MethodGet, Path: path, Query: query}, &out)
	return out, err
}

// picture opens a file of the CDN.
func (a *api) picture(ctx context.Context, address string, r sdk.Range) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if !r.IsZero() {
		last := ""
		if r.Length > 0 {
			last = strconv.FormatInt(r.Offset+r.Length-1, 10)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%s", r.Offset, last))
	}
	resp, err := a.opt.Client.Do(req)
	if err != nil {
		return nil, strip(err)
	}
	if resp.StatusCode/100 != 2 {
		_ = resp.Body.Close()
		return nil, &apiError{Status: resp.StatusCode, Message: resp.Status, HTML: true}
	}
	return resp, nil
}
