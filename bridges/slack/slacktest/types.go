package slacktest

import "encoding/json"

// Message is a message as it travels.
type Message struct {
	Type        string          `json:"type"`
	Subtype     string          `json:"subtype,omitempty"`
	Hidden      bool            `json:"hidden,omitempty"`
	User        string          `json:"user,omitempty"`
	BotID       string          `json:"bot_id,omitempty"`
	AppID       string          `json:"app_id,omitempty"`
	Username    string          `json:"username,omitempty"`
	Icons       json.RawMessage `json:"icons,omitempty"`
	Team        string          `json:"team,omitempty"`
	Text        string          `json:"text"`
	Blocks      json.RawMessage `json:"blocks,omitempty"`
	Attachments json.RawMessage `json:"attachments,omitempty"`
	Files       []*File         `json:"files,omitempty"`
	TS          string          `json:"ts"`
	ThreadTS    string          `json:"thread_ts,omitempty"`
	ReplyCount  int             `json:"reply_count,omitempty"`
	LatestReply string          `json:"latest_reply,omitempty"`
	Reactions   []*Reaction     `json:"reactions,omitempty"`
	Edited      *Edited         `json:"edited,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	Topic       string          `json:"topic,omitempty"`
	Name        string          `json:"name,omitempty"`
	OldName     string          `json:"old_name,omitempty"`
	Inviter     string          `json:"inviter,omitempty"`
}

// Reaction is one emoji of a message.
type Reaction struct {
	Name  string   `json:"name"`
	Users []string `json:"users"`
	Count int      `json:"count"`
}

// Edited says who changed a message last, and when.
type Edited struct {
	User string `json:"user"`
	TS   string `json:"ts"`
}

// File is a file as it travels.
type File struct {
	ID                 string                        `json:"id"`
	Name               string                        `json:"name,omitempty"`
	Title              string                        `json:"title,omitempty"`
	Mimetype           string                        `json:"mimetype,omitempty"`
	User               string                        `json:"user,omitempty"`
	Size               int                           `json:"size,omitempty"`
	Mode               string                        `json:"mode,omitempty"`
	URLPrivate         string                        `json:"url_private,omitempty"`
	URLPrivateDownload string                        `json:"url_private_download,omitempty"`
	FileAccess         string                        `json:"file_access,omitempty"`
	Shares             map[string]map[string][]Share `json:"shares,omitempty"`

	data     []byte
	uploaded bool
	owner    string // token's user
}

// Share is where a file stands.
type Share struct {
	TS       string `json:"ts"`
	ThreadTS string `json:"thread_ts,omitempty"`
}

// User is a person or the bot's user.
type User struct {
	ID       string  `json:"id"`
	TeamID   string  `json:"team_id"`
	Name     string  `json:"name"`
	RealName string  `json:"real_name"`
	Deleted  bool    `json:"deleted"`
	IsBot    bool    `json:"is_bot"`
	IsAdmin  bool    `json:"is_admin"`
	IsOwner  bool    `json:"is_owner"`
	TZ       string  `json:"tz,omitempty"`
	Updated  int64   `json:"updated"`
	Profile  Profile `json:"profile"`

	Token    string `json:"-"`
	presence string
}

// Profile is how a user shows herself.
type Profile struct {
	RealName         string `json:"real_name"`
	DisplayName      string `json:"display_name"`
	Email            string `json:"email,omitempty"`
	Title            string `json:"title,omitempty"`
	AvatarHash       string `json:"avatar_hash,omitempty"`
	Image72          string `json:"image_72,omitempty"`
	Image192         string `json:"image_192,omitempty"`
	Image512         string `json:"image_512,omitempty"`
	StatusText       string `json:"status_text"`
	StatusEmoji      string `json:"status_emoji"`
	StatusExpiration int64  `json:"status_expiration"`
	BotID            string `json:"bot_id,omitempty"`
	APIAppID         string `json:"api_app_id,omitempty"`
}

// Channel is a conversation of any sort.
type Channel struct {
	ID         string
	Name       string
	Private    bool
	IM         string // with whom, for a direct chat
	Archived   bool
	Topic      string
	Creator    string
	Members    []string
	Messages   []*Message
	Org        bool // shared in the whole organisation
	createdSec int64
}

// Call is a request to the Web API.
type Call struct {
	Method string
	Args   map[string]string
	Token  string
	Error  string // what was answered; "" is ok
}

// Ack is an acknowledgement of an envelope.
type Ack struct {
	EnvelopeID, EventID string
	Attempt             int
}
