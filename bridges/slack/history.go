package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	slackgo "github.com/slack-go/slack"

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
	q := slackgo.GetConversationRepliesParameters{ChannelID: ch.ID, Timestamp: cmp.Or(string(ch.Thread), r.Thread), Limit: limit, Latest: string(r.Before), Oldest: string(r.After)}
	for _, ts := range []string{q.Latest, q.Oldest} {
		if ts != "" && !slackid.TS(ts).Valid() {
			return sdk.HistoryPage{}, sdk.Refuse(sdk.CodeInvalid, "the history cannot be continued there")
		}
	}
	if r.Before == "" && !r.Until.IsZero() {
		q.Latest = string(tsOf(r.Until))
	}
	if r.After == "" && !r.Since.IsZero() {
		q.Oldest = string(tsOf(r.Since))
	}
	return c.historyPage(ctx, ch, q, r)
}

func (c *Connector) historyPage(ctx context.Context, ch slackid.Channel, q slackgo.GetConversationRepliesParameters, r sdk.HistoryRequest) (sdk.HistoryPage, error) {
	page, err := c.api.messages(ctx, q)
	if err != nil {
		return sdk.HistoryPage{}, explain("cannot read the history", err)
	}
	slices.SortFunc(page.Messages, func(a, b message) int { return a.TS.Compare(b.TS) })
	var out sdk.HistoryPage
	for i := range page.Messages {
		m := &page.Messages[i]
		if m.SubType != "" && (strings.Contains(silent, " "+m.SubType+" ") || strings.HasSuffix(m.SubType, "_topic")) || !m.TS.Valid() {
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

// messagePage is a page of a history.
type messagePage struct {
	Messages []message
	More     bool
	Cursor   string
}

// messages reads a page of a channel or, with a timestamp, of a thread. The messages are
// read from the answer one by one: the library's are without the blocks as they came, and
// none at all if one of them is odd.
func (a *webAPI) messages(ctx context.Context, q slackgo.GetConversationRepliesParameters) (messagePage, error) {
	q.IncludeAllMetadata = true
	var got *answer
	var err error
	if q.Timestamp == "" {
		h := slackgo.GetConversationHistoryParameters{ChannelID: q.ChannelID, Cursor: q.Cursor, Latest: q.Latest, Limit: q.Limit, Oldest: q.Oldest, IncludeAllMetadata: true}
		got, err = a.call(ctx, "conversations.history", nil, func(ctx context.Context, client *slackgo.Client) error {
			_, err := client.GetConversationHistoryContext(ctx, &h)
			return err
		})
	} else {
		got, err = a.call(ctx, "conversations.replies", nil, func(ctx context.Context, client *slackgo.Client) error {
			_, _, _, err := client.GetConversationRepliesContext(ctx, &q)
			return err
		})
	}
	if err != nil {
		return messagePage{}, err
	}
	var page struct {
		Messages []json.RawMessage        `json:"messages"`
		More     bool                     `json:"has_more"`
		Meta     slackgo.ResponseMetadata `json:"response_metadata"`
	}
	got.read(&page)
	out := messagePage{More: page.More, Cursor: page.Meta.Cursor}
	for _, raw := range page.Messages {
		var m message
		_ = json.Unmarshal(raw, &m) // what has another shape than expected stays empty
		out.Messages = append(out.Messages, m)
	}
	return out, nil
}
