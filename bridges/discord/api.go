package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

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

// exchange is the way of one request of discordgo's. Its addresses are constants:
// here they become those of the configured API. And its errors leave out what limits
// and outages are told by (the body and headers of a 429, the type of a 502): the
// answer is kept as it came.
type exchange struct {
	next http.RoundTripper
	base string
	resp *http.Response
	raw  []byte
}

// RoundTrip implements http.RoundTripper.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	path, ok := strings.CutPrefix(req.URL.String(), discordgo.EndpointAPI)
	if !ok {
		return nil, errors.New("not an address of the API")
	}
	address, err := url.Parse(x.base + "/" + path)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.URL, req.Host = address, address.Host
	resp, err := x.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	x.resp, x.raw = resp, raw
	// The library takes a limit's header that it cannot read for a failure of the
	// request, and of the good statuses it knows three.
	told := *resp
	told.Header, told.Body = http.Header{}, io.NopCloser(bytes.NewReader(raw))
	if told.StatusCode/100 == 2 {
		told.StatusCode = http.StatusOK
	}
	return &told, nil
}

// through makes one request by a function of discordgo's. Each has a session, and so
// a rate limiter of the library's, to itself: that one sleeps without a context and
// lets a request wait for the answer to another. Ours decides when it may be made.
func (a *api) through(ctx context.Context, key string, anon bool, f func(*discordgo.Session, discordgo.RequestOption) error) error {
	if err := a.limits.wait(ctx, key, anon, a.opt.After); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.opt.Timeout)
	defer cancel()
	x := &exchange{next: a.opt.Client.Transport, base: a.opt.Base}
	s := &discordgo.Session{ // no retries: the server tries again
		Client: &http.Client{Transport: x}, Ratelimiter: discordgo.NewRatelimiter(),
		UserAgent: "DiscordBot (https://github.com/viaduct-xmpp/viaduct, " + version() + ")",
		LogLevel:  -1, // it would write past slog; what is wrong is in the answer
	}
	if !anon {
		s.Token = "Bot " + a.opt.Token
	}
	err := f(s, discordgo.WithContext(ctx))
	if x.resp == nil {
		return &unsure{strip(err)}
	}
	if refused := a.answer(key, x.resp, x.raw); refused != nil {
		return refused
	}
	if err == nil && bytes.Equal(x.raw, []byte("null")) {
		err = errors.New("there is nothing in it")
	}
	if err != nil {
		// It was done; only what came of it cannot be read.
		return &unsure{fmt.Errorf("read the answer to %s: %w", key, err)}
	}
	return nil
}

// do makes a request that discordgo has no function for, or one that leaves out what
// is needed, and decodes the answer into out, if that is not nil.
func (a *api) do(ctx context.Context, c call, out any) error {
	if c.Route == "" {
		c.Route = c.Path
	}
	address := discordgo.EndpointAPI + strings.TrimPrefix(c.Path, "/")
	if c.Query != "" {
		address += "?" + c.Query
	}
	return a.through(ctx, c.Method+" "+c.Route, c.Anon, func(s *discordgo.Session, o discordgo.RequestOption) error {
		var raw []byte
		var err error
		if len(c.Files) == 0 {
			raw, err = s.RequestWithBucketID(c.Method, address, c.Body, c.Route, o)
		} else {
			kind, body, failed := discordgo.MultipartBodyWithJSON(c.Body, c.files())
			if failed != nil {
				return fmt.Errorf("encode: %w", failed)
			}
			raw, err = s.RequestRaw(c.Method, address, kind, body, c.Route, 0, o)
		}
		if err != nil || out == nil || len(raw) == 0 {
			return err
		}
		return json.Unmarshal(raw, out)
	})
}

// files are the files in the library's form; it would let a line's end through.
func (c call) files() []*discordgo.File {
	var out []*discordgo.File
	for _, f := range c.Files {
		name := strings.NewReplacer(`\`, "_", `"`, "_", "\r", "_", "\n", "_").Replace(f.Name)
		out = append(out, &discordgo.File{Name: name, ContentType: f.Type, Reader: bytes.NewReader(f.Data)})
	}
	return out
}

// ask reads something by a function of discordgo's.
func ask[T any](ctx context.Context, a *api, route string, f func(*discordgo.Session, discordgo.RequestOption) (T, error)) (T, error) {
	var out T
	err := a.through(ctx, route, false, func(s *discordgo.Session, o discordgo.RequestOption) (err error) {
		out, err = f(s, o)
		return err
	})
	return out, err
}

// user reads a user; "@me" is the bot.
func (a *api) user(ctx context.Context, id string) (*discordgo.User, error) {
	return ask(ctx, a, "GET /users/"+id, func(s *discordgo.Session, o discordgo.RequestOption) (*discordgo.User, error) { return s.User(id, o) })
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

// answer reads the headers of an answer, and the body of one that says no.
func (a *api) answer(key string, resp *http.Response, raw []byte) error {
	a.limits.seen(key, resp)
	if resp.StatusCode/100 == 2 {
		return nil
	}
	e := &apiError{Status: resp.StatusCode, HTML: !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")}
	var body struct {
		discordgo.APIErrorMessage
		// The library's TooManyRequests cuts parts of a millisecond off, and has no global.
		After  float64 `json:"retry_after"`
		Global bool    `json:"global"`
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
