package slack

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// FetchHistory implements sdk.HistorySource. A cursor is the ts of the page's outermost
// message; a page is of the channel, or of one thread.
func (c *Connector) FetchHistory(ctx context.Context, r sdk.HistoryRequest) (sdk.HistoryPage, error) {
	ch, _, err := c.place(r.Portal)
	if err != nil {
		return sdk.HistoryPage{}, err
	}
	limit := r.Limit
	if limit <= 0 || limit > historyPage {
		limit = historyPage
	}
	args := url.Values{"channel": {ch.ID}, "limit": {strconv.Itoa(limit)}, "include_all_metadata": {"true"}}
	for key, ts := range map[string]string{"latest": string(r.Before), "oldest": string(r.After)} {
		if ts == "" {
			continue
		}
		if !slackid.TS(ts).Valid() {
			return sdk.HistoryPage{}, sdk.Refuse(sdk.CodeInvalid, "the history cannot be continued there")
		}
		args.Set(key, ts)
	}
	if r.Before == "" && !r.Until.IsZero() {
		args.Set("latest", string(tsOf(r.Until)))
	}
	if r.After == "" && !r.Since.IsZero() {
		args.Set("oldest", string(tsOf(r.Since)))
	}
	method, thread := "conversations.history", cmp.Or(string(ch.Thread), r.Thread)
	if thread != "" {
		method = "conversations.replies"
		args.Set("ts", thread)
	}
	return c.historyPage(ctx, ch, method, args, r)
}

func (c *Connector) historyPage(ctx context.Context, ch slackid.Channel, method string, args url.Values, r sdk.HistoryRequest) (sdk.HistoryPage, error) {
	var page struct {
		Messages []message `json:"messages"`
		More     bool      `json:"has_more"`
	}
	if _, err := c.api.call(ctx, method, args, &page); err != nil {
		return sdk.HistoryPage{}, explain("cannot read the history", err)
	}
	slices.SortFunc(page.Messages, func(a, b message) int { return a.TS.Compare(b.TS) })
	var out sdk.HistoryPage
	for i := range page.Messages {
		m := &page.Messages[i]
		if m.Subtype != "" && (strings.Contains(silent, " "+m.Subtype+" ") || strings.HasSuffix(m.Subtype, "_topic")) || !m.TS.Valid() {
			continue
		}
		events, err := c.newMessage(ctx, ch.ID, m)
		if err != nil {
			return sdk.HistoryPage{}, fmt.Errorf("slack: history: %w", err)
		}
		for _, ev := range events {
			if _, ok := ev.(*sdk.Message); ok {
				ev.Head().History = true
				out.Events = append(out.Events, ev)
			}
		}
	}
	if n := len(page.Messages); n > 0 && page.More {
		out.Older = sdk.Cursor(page.Messages[0].TS)
	}
	if n := len(page.Messages); n > 0 && r.Before != "" {
		out.Newer = sdk.Cursor(page.Messages[n-1].TS)
	}
	return out, nil
}
