package slack

import (
	"encoding/json"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
)

// message is a message in an event or a history, as far as it is read.
type message struct {
	Type        string          `json:"type"`
	Subtype     string          `json:"subtype"`
	User        string          `json:"user"`
	BotID       string          `json:"bot_id"`
	Username    string          `json:"username"`
	Icons       messageIcons    `json:"icons"`
	Text        string          `json:"text"`
	Blocks      json.RawMessage `json:"blocks"`
	Attachments json.RawMessage `json:"attachments"`
	Files       []file          `json:"files"`
	TS          slackid.TS      `json:"ts"`
	ThreadTS    slackid.TS      `json:"thread_ts"`
	ReplyCount  int             `json:"reply_count"`
	LatestReply slackid.TS      `json:"latest_reply"`
	Reactions   []reaction      `json:"reactions"`
	Edited      *edited         `json:"edited"`
	Metadata    *metadata       `json:"metadata"`
	Topic       string          `json:"topic"`
	Name        string          `json:"name"`
	Inviter     string          `json:"inviter"`
	Hidden      bool            `json:"hidden"`
}

type messageIcons struct {
	Emoji   string `json:"emoji"`
	Image48 string `json:"image_48"`
	Image72 string `json:"image_72"`
}

type edited struct {
	User string     `json:"user"`
	TS   slackid.TS `json:"ts"`
}

type reaction struct {
	Name  string   `json:"name"`
	Users []string `json:"users"`
}

// metadata is what we write into our messages to know them again.
type metadata struct {
	Type    string `json:"event_type"`
	Payload struct {
		Op   string `json:"op"`
		Part string `json:"part"`
	} `json:"event_payload"`
}

// metadataType names our metadata.
const metadataType = "viaduct_op"

// file is a file of a message.
type file struct {
	ID         string                        `json:"id"`
	Name       string                        `json:"name"`
	Title      string                        `json:"title"`
	Mimetype   string                        `json:"mimetype"`
	Size       int64                         `json:"size"`
	Mode       string                        `json:"mode"`
	IsExternal bool                          `json:"is_external"`
	External   string                        `json:"external_url"`
	Private    string                        `json:"url_private"`
	Download   string                        `json:"url_private_download"`
	Permalink  string                        `json:"permalink"`
	Width      int                           `json:"original_w"`
	Height     int                           `json:"original_h"`
	Duration   int64                         `json:"duration_ms"`
	Subtype    string                        `json:"subtype"` // slack_audio, slack_video
	FileAccess string                        `json:"file_access"`
	Shares     map[string]map[string][]share `json:"shares"`
	Thumb360   string                        `json:"thumb_360"`
	Thumb360W  int                           `json:"thumb_360_w"`
	Thumb360H  int                           `json:"thumb_360_h"`
}

type share struct {
	TS slackid.TS `json:"ts"`
}

// event is an event of the Events API, all that are read in one.
type event struct {
	message
	Channel    channelRef `json:"channel"`
	EventTS    slackid.TS `json:"event_ts"`
	Message    *message   `json:"message"`
	Previous   *message   `json:"previous_message"`
	DeletedTS  slackid.TS `json:"deleted_ts"`
	Reaction   string     `json:"reaction"`
	Item       item       `json:"item"`
	OldChannel string     `json:"old_channel_id"`
	NewChannel string     `json:"new_channel_id"`
	DND        *dnd       `json:"dnd_status"`
	Who        *user      `json:"-"`
}

type item struct {
	Type    string     `json:"type"`
	Channel string     `json:"channel"`
	TS      slackid.TS `json:"ts"`
}

type dnd struct {
	Enabled bool  `json:"dnd_enabled"`
	Start   int64 `json:"next_dnd_start_ts"`
	End     int64 `json:"next_dnd_end_ts"`
	Snooze  bool  `json:"snooze_enabled"`
	Until   int64 `json:"snooze_endtime"`
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
	ID       string  `json:"id"`
	TeamID   string  `json:"team_id"`
	Name     string  `json:"name"`
	RealName string  `json:"real_name"`
	Deleted  bool    `json:"deleted"`
	IsBot    bool    `json:"is_bot"`
	IsAdmin  bool    `json:"is_admin"`
	IsOwner  bool    `json:"is_owner"`
	TZ       string  `json:"tz"`
	Updated  int64   `json:"updated"`
	Profile  profile `json:"profile"`
}

type profile struct {
	RealName         string `json:"real_name"`
	DisplayName      string `json:"display_name"`
	Email            string `json:"email"`
	Title            string `json:"title"`
	AvatarHash       string `json:"avatar_hash"`
	Image72          string `json:"image_72"`
	Image192         string `json:"image_192"`
	Image512         string `json:"image_512"`
	StatusText       string `json:"status_text"`
	StatusEmoji      string `json:"status_emoji"`
	StatusExpiration int64  `json:"status_expiration"`
	BotID            string `json:"bot_id"`
}

// channel is a conversation object.
type channel struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	IsIM       bool   `json:"is_im"`
	IsMpim     bool   `json:"is_mpim"`
	IsPrivate  bool   `json:"is_private"`
	IsArchived bool   `json:"is_archived"`
	IsMember   bool   `json:"is_member"`
	User       string `json:"user"`
	Creator    string `json:"creator"`
	Members    int    `json:"num_members"`
	Topic      struct {
		Value string `json:"value"`
	} `json:"topic"`
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
