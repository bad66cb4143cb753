package slack

import (
	"encoding/json"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// The objects are the library's; where one is wrapped, the fields here stand in for the
// library's of the same name in JSON, or are such as it lacks.

// message is a message in an event or a history. Blocks and attachments stay as they came:
// the library gives up all blocks of a message for one that it cannot read, slackfmt only
// that one. Timestamps are slackid's, which compares them as what they are.
type message struct {
	slackgo.Msg
	Blocks      json.RawMessage        `json:"blocks"`
	Attachments json.RawMessage        `json:"attachments"`
	Files       []file                 `json:"files"`
	TS          slackid.TS             `json:"ts"`
	ThreadTS    slackid.TS             `json:"thread_ts"`
	LatestReply slackid.TS             `json:"latest_reply"`
	Edited      *edited                `json:"edited"`
	Icons       slackgo.Icons          `json:"icons"` // the library knows no addresses there
	Metadata    *slackgo.SlackMetadata `json:"metadata"`
}

type edited struct {
	TS slackid.TS `json:"ts"`
}

// metadataType names what we write into our messages to know them again.
const metadataType = "viaduct_op"

// metadata is what we write.
func metadata(op sdk.OpID, part sdk.PartID) slackgo.SlackMetadata {
	return slackgo.SlackMetadata{EventType: metadataType, EventPayload: map[string]any{"op": string(op), "part": string(part)}}
}

// written is what we wrote into a message; no op: nothing.
func (m *message) written() origin {
	if m.Metadata == nil || m.Metadata.EventType != metadataType {
		return origin{}
	}
	op, _ := m.Metadata.EventPayload["op"].(string)
	part, _ := m.Metadata.EventPayload["part"].(string)
	return origin{sdk.OpID(op), sdk.PartID(part)}
}

// file is a file of a message.
type file struct {
	slackgo.File
	Subtype string `json:"subtype"` // slack_audio, slack_video
}

// sharedIn is the message that shows a file in a channel, "" if there is none yet.
func (f *file) sharedIn(channel string) slackid.TS {
	for _, sort := range []map[string][]slackgo.ShareFileInfo{f.Shares.Public, f.Shares.Private} {
		for _, sh := range sort[channel] {
			if ts := slackid.TS(sh.Ts); ts.Valid() {
				return ts
			}
		}
	}
	return ""
}

// event is an event of the Events API, all that are read in one. It is not slackevents':
// that package refuses an event for one field of another shape, and Slack would not send
// it again once it is acknowledged.
type event struct {
	message
	Channel    channelRef         `json:"channel"`
	EventTS    slackid.TS         `json:"event_ts"`
	Message    *message           `json:"message"`
	Previous   *message           `json:"previous_message"`
	DeletedTS  slackid.TS         `json:"deleted_ts"`
	Reaction   string             `json:"reaction"`
	Item       item               `json:"item"`
	OldChannel string             `json:"old_channel_id"`
	NewChannel string             `json:"new_channel_id"`
	DND        *slackgo.DNDStatus `json:"dnd_status"`
	Who        *user              `json:"-"`
}

type item struct {
	Type    string     `json:"type"`
	Channel string     `json:"channel"`
	TS      slackid.TS `json:"ts"`
}

// channelRef is an id, or an object with one.
type channelRef struct {
	ID   string
	Name string
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *channelRef) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &c.ID) == nil {
		return nil
	}
	var o struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	err := json.Unmarshal(b, &o)
	c.ID, c.Name = o.ID, o.Name
	return err
}

// user is a person or a bot's user.
type user struct {
	slackgo.User
}

// parseEvent reads an event leniently: a field of another shape than expected is
// left out, not the event.
func parseEvent(raw json.RawMessage) (event, string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return event{}, "", err
	}
	var kind string
	_ = json.Unmarshal(fields["type"], &kind)
	var ev event
	if who := fields["user"]; len(who) > 0 && who[0] == '{' {
		ev.Who = &user{}
		if json.Unmarshal(who, ev.Who) != nil {
			ev.Who = nil
		}
		delete(fields, "user")
	}
	if err := decodeLenient(fields, &ev); err != nil {
		return event{}, kind, err
	}
	return ev, kind, nil
}

// decodeLenient decodes an object; fields that do not fit are dropped one by one.
func decodeLenient(fields map[string]json.RawMessage, into any) error {
	raw, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	if json.Unmarshal(raw, into) == nil {
		return nil
	}
	for name, value := range fields {
		one, err := json.Marshal(map[string]json.RawMessage{name: value})
		if err != nil {
			return err
		}
		_ = json.Unmarshal(one, into)
	}
	return nil
}
