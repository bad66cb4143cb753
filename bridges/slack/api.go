package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// webAPI calls methods. It keeps every rate limit by itself: a method (for posting: a
// method in a channel) that was answered 429 is not called again before its time.
type webAPI struct {
	base     string
	bot, app string
	http     *http.Client
	timeout  time.Duration
	now      func() time.Time
	after    func(time.Duration) <-chan time.Time
	log      *slog.Logger

	mu     sync.Mutex
	limits map[string]time.Time
	cut    time.Time // when a call last ended without an answer, or the start
}

// Errors of a call.
type (
	// apiError is Slack's own "ok": false.
	apiError struct {
		Method, Code, Needed string
	}
	// httpError is an answer that Slack's API did not write.
	httpError struct {
		Method string
		Status int
	}
	// limitError says how long to wait.
	limitError struct {
		Method string
		Wait   time.Duration
	}
)

func (e *apiError) Error() string {
	if e.Needed != "" {
		return e.Method + ": " + e.Code + " (needs " + e.Needed + ")"
	}
	return e.Method + ": " + e.Code
}

func (e *httpError) Error() string { return fmt.Sprintf("%s: status %d", e.Method, e.Status) }

func (e *limitError) Error() string { return fmt.Sprintf("%s: rate limited for %v", e.Method, e.Wait) }

// codeOf is Slack's error code, "" if it is another sort of error.
func codeOf(err error) string {
	var e *apiError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// limitKey: chat.postMessage is limited by channel, the others by workspace.
func limitKey(method string, args url.Values) string {
	if method == "chat.postMessage" {
		return method + " " + args.Get("channel")
	}
	return method
}

// call calls a method as the bot. out may be nil.
func (a *webAPI) call(ctx context.Context, method string, args url.Values, out any) (http.Header, error) {
	return a.callAs(ctx, a.bot, method, args, out)
}

func (a *webAPI) callAs(ctx context.Context, token, method string, args url.Values, out any) (http.Header, error) {
	key := limitKey(method, args)
	if wait := a.limited(key); wait > 0 {
		return nil, &limitError{method, wait}
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+method, strings.NewReader(args.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := a.http.Do(req)
	if err != nil {
		a.unanswered()
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode == http.StatusTooManyRequests {
		return resp.Header, a.limit(method, key, resp.Header)
	}
	if err != nil {
		a.unanswered()
		return resp.Header, fmt.Errorf("%s: read the answer: %w", method, err)
	}
	return resp.Header, decodeAnswer(method, resp.StatusCode, body, out)
}

// unanswered notes that Slack may still be at work on something.
func (a *webAPI) unanswered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut = a.now()
}

func decodeAnswer(method string, status int, body []byte, out any) error {
	var head struct {
		OK     *bool  `json:"ok"`
		Error  string `json:"error"`
		Needed string `json:"needed"`
	}
	if err := json.Unmarshal(body, &head); err != nil || head.OK == nil {
		if status == http.StatusOK {
			status = http.StatusBadGateway // a page instead of an answer
		}
		return &httpError{method, status}
	}
	if !*head.OK {
		return &apiError{method, head.Error, head.Needed}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s: read the answer: %w", method, err)
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
func (a *webAPI) limit(method, key string, h http.Header) error {
	wait := 5 * time.Second
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil {
		wait = time.Duration(s) * time.Second
	}
	wait = min(max(wait, time.Second), 10*time.Minute)
	a.mu.Lock()
	a.limits[key] = a.now().Add(wait)
	a.mu.Unlock()
	a.log.Info("rate limit", "method", method, "wait", wait.String())
	return &limitError{method, wait}
}

// patient calls a method and waits out its rate limits: for work in the background.
func (a *webAPI) patient(ctx context.Context, method string, args url.Values, out any) error {
	for {
		_, err := a.call(ctx, method, args, out)
		var limit *limitError
		if !errors.As(err, &limit) {
			return err
		}
		if err := a.sleep(ctx, limit.Wait); err != nil {
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
		api   *apiError
		web   *httpError
		limit *limitError
	)
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &limit):
		return sdk.RetryAfter(limit.Wait, err)
	case errors.As(err, &web):
		if web.Status == http.StatusRequestEntityTooLarge {
			return &sdk.Error{Code: sdk.CodeTooBig, Text: what + ": too big for Slack", Err: err}
		}
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Slack is in trouble", Err: err}
	case !errors.As(err, &api):
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Slack does not answer", Err: err}
	}
	quoted := " " + api.Code + " "
	switch {
	case strings.Contains(passing, quoted):
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Slack is in trouble", Err: err}
	case strings.Contains(unsigned, quoted):
		// The operator has to mend that; what waits must not be thrown away meanwhile.
		return &sdk.Error{Code: sdk.CodeBadCredentials, Temporary: true, Text: "Slack no longer takes the bridge's token (" + api.Code + ")", Err: err}
	}
	out := &sdk.Error{Code: sdk.CodeInvalid, Text: what + ": " + api.Code, Err: err}
	if code, ok := refusals()[api.Code]; ok {
		out.Code = code
	}
	switch api.Code {
	case "missing_scope":
		out.Text = what + ": the app lacks the scope " + api.Needed
	case "not_in_channel":
		out.Text = what + ": the bot is not in the channel; somebody there has to write /invite @ and its name"
	}
	return out
}
