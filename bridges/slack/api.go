package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// webAPI calls methods through the library. It keeps every rate limit by itself: a method
// (for posting: a method in a channel) that was answered 429 is not called again before
// its time; the library's own repetitions are off. It stands between the library and HTTP,
// see Do.
type webAPI struct {
	client    *slackgo.Client
	base, bot string
	http      *http.Client
	timeout   time.Duration
	now       func() time.Time
	after     func(time.Duration) <-chan time.Time
	log       *slog.Logger

	mu     sync.Mutex
	limits map[string]time.Time
	cut    time.Time // when a call last ended without an answer, or the start
}

// answer is what came to one call.
type answer struct {
	method, limit string
	header        http.Header
	body          []byte // nil unless it says "ok"
}

// answerKey finds the answer of a call in its context.
type answerKey struct{}

// codeOf is Slack's error code, "" if it is another sort of error.
func codeOf(err error) string {
	var e slackgo.SlackErrorResponse
	if errors.As(err, &e) {
		return e.Err
	}
	return ""
}

// statusError is an answer that Slack's API did not write.
func statusError(status int) error {
	return slackgo.StatusCodeError{Code: status, Status: strconv.Itoa(status) + " " + http.StatusText(status)}
}

// ask is a call of the library.
type ask func(ctx context.Context, client *slackgo.Client) error

// call calls a method. do keeps in out what the library read; out may be nil.
func (a *webAPI) call(ctx context.Context, method string, out any, do ask) (*answer, error) {
	return a.callLimited(ctx, method, method, out, do)
}

// callLimited is call for a method that is limited by more than its name.
func (a *webAPI) callLimited(ctx context.Context, method, limit string, out any, do ask) (*answer, error) {
	got := &answer{method: method, limit: limit}
	if wait := a.limited(limit); wait > 0 {
		return got, fmt.Errorf("%s: %w", method, &slackgo.RateLimitedError{RetryAfter: wait})
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	err := do(context.WithValue(ctx, answerKey{}, got), a.client)
	if err != nil && got.body == nil {
		return got, fmt.Errorf("%s: %w", method, err)
	}
	if err != nil {
		// The library gives a whole answer up for one field of another shape than it knows
		// (a block, an attachment). What can be read is read.
		a.log.Debug("an answer was not read at once", "method", method, "error", err)
		got.read(out)
	}
	return got, nil
}

// simple is call for an answer that says nothing but yes.
func (a *webAPI) simple(ctx context.Context, method string, do ask) error {
	_, err := a.call(ctx, method, nil, do)
	return err
}

// read reads an answer, except for what has another shape than expected.
func (g *answer) read(out any) {
	if out != nil {
		_ = json.Unmarshal(g.body, out)
	}
}

// Do does the library's requests: one of call's each. It bounds the answer, knows a page
// from an answer, and has our own rate limits and Slack's code with the scope that is
// missing before the library, which loses them if the answer has a field that it cannot
// read.
func (a *webAPI) Do(req *http.Request) (*http.Response, error) {
	got, ok := req.Context().Value(answerKey{}).(*answer)
	if !ok {
		return nil, errors.New("slack: a request that nobody asked for")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.unanswered()
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode == http.StatusTooManyRequests {
		return nil, a.limit(got, resp.Header)
	}
	if err != nil {
		a.unanswered()
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if err := verdict(resp.StatusCode, body); err != nil {
		return nil, err
	}
	got.header, got.body = resp.Header, body
	resp.StatusCode, resp.Body = http.StatusOK, io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// unanswered notes that Slack may still be at work on something.
func (a *webAPI) unanswered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut = a.now()
}

// verdict says whether an answer is a good one.
func verdict(status int, body []byte) error {
	var head struct {
		OK     *bool  `json:"ok"`
		Error  string `json:"error"`
		Needed string `json:"needed"`
	}
	if err := json.Unmarshal(body, &head); err != nil || head.OK == nil {
		if status == http.StatusOK {
			status = http.StatusBadGateway // a page instead of an answer
		}
		return statusError(status)
	}
	if !*head.OK {
		return slackgo.SlackErrorResponse{Err: head.Error, Needed: head.Needed}
	}
	return nil
}

// limited is how long a method may not be called yet.
func (a *webAPI) limited(key string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	until, ok := a.limits[key]
	if !ok {
		return 0
	}
	wait := until.Sub(a.now())
	if wait <= 0 {
		delete(a.limits, key)
	}
	return max(wait, 0)
}

// limit notes what a 429 says: at least a second, at most ten minutes.
func (a *webAPI) limit(got *answer, h http.Header) error {
	wait := 5 * time.Second
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil {
		wait = time.Duration(s) * time.Second
	}
	wait = min(max(wait, time.Second), 10*time.Minute)
	a.mu.Lock()
	a.limits[got.limit] = a.now().Add(wait)
	a.mu.Unlock()
	a.log.Info("rate limit", "method", got.method, "wait", wait.String())
	return &slackgo.RateLimitedError{RetryAfter: wait}
}

// patient calls, and waits rate limits out: for work in the background.
func (a *webAPI) patient(ctx context.Context, call func() error) error {
	for {
		err := call()
		var limit *slackgo.RateLimitedError
		if !errors.As(err, &limit) {
			return err
		}
		if err := a.sleep(ctx, limit.RetryAfter); err != nil {
			return err
		}
	}
}

func (a *webAPI) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-a.after(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refusals are Slack's codes that stay what they are, however often one tries.
func refusals() map[string]sdk.Code {
	groups := map[sdk.Code]string{
		sdk.CodeNotFound:    "channel_not_found message_not_found thread_not_found file_not_found file_deleted users_not_found user_not_found user_not_visible bot_not_found no_item_specified",
		sdk.CodeForbidden:   "not_in_channel missing_scope no_permission access_denied restricted_action restricted_action_read_only_channel restricted_action_thread_only_channel restricted_action_non_threadable_channel restricted_action_thread_locked cant_update_message cant_delete_message cant_invite cant_kick_self cant_kick_from_general method_not_supported_for_channel_type ekm_access_denied not_allowed_token_type user_is_restricted user_is_ultra_restricted cannot_dm_bot cant_invite_self cant_delete_file",
		sdk.CodeRoomGone:    "is_archived channel_is_archived",
		sdk.CodeUserGone:    "user_disabled",
		sdk.CodeTooLong:     "msg_too_long msg_blocks_too_long too_long",
		sdk.CodeTooOld:      "edit_window_closed compliance_exports_prevent_deletion",
		sdk.CodeBlocked:     "org_login_required team_access_not_granted posting_to_general_channel_denied posting_to_channel_denied external_channel_migrating too_many_reactions too_many_emoji file_uploads_disabled",
		sdk.CodeUnsupported: "unknown_method method_deprecated invalid_name bad_emoji",
	}
	out := map[string]sdk.Code{}
	for code, list := range groups {
		for name := range strings.FieldsSeq(list) {
			out[name] = code
		}
	}
	return out
}

// Codes of Slack's that pass, and that mean a token is no longer any good.
const (
	passing  = " ratelimited internal_error fatal_error service_unavailable request_timeout team_added_to_org accesslimited message_limit_exceeded slack_connect_file_upload_sharing_blocked "
	unsigned = " not_authed invalid_auth account_inactive token_revoked token_expired "
)

// explain turns the error of a call into an sdk error. what stands before Slack's own
// code: "cannot post".
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	var (
		known *sdk.Error
		api   slackgo.SlackErrorResponse
		web   slackgo.StatusCodeError
		limit *slackgo.RateLimitedError
	)
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &limit):
		return sdk.RetryAfter(limit.RetryAfter, err)
	case errors.As(err, &web):
		if web.Code == http.StatusRequestEntityTooLarge {
			return &sdk.Error{Code: sdk.CodeTooBig, Text: what + ": too big for Slack", Err: err}
		}
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Slack is in trouble", Err: err}
	case !errors.As(err, &api):
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Slack does not answer", Err: err}
	}
	quoted := " " + api.Err + " "
	switch {
	case strings.Contains(passing, quoted):
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Slack is in trouble", Err: err}
	case strings.Contains(unsigned, quoted):
		// The operator has to mend that; what waits must not be thrown away meanwhile.
		return &sdk.Error{Code: sdk.CodeBadCredentials, Temporary: true, Text: "Slack no longer takes the bridge's token (" + api.Err + ")", Err: err}
	}
	out := &sdk.Error{Code: sdk.CodeInvalid, Text: what + ": " + api.Err, Err: err}
	if code, ok := refusals()[api.Err]; ok {
		out.Code = code
	}
	switch api.Err {
	case "missing_scope":
		out.Text = what + ": the app lacks the scope " + api.Needed
	case "not_in_channel":
		out.Text = what + ": the bot is not in the channel; somebody there has to write /invite @ and its name"
	}
	return out
}
