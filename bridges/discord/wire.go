package discord

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
)

// What Discord's JSON holds, as far as it is used here ("Resources").
type (
	wireUser struct {
		ID         string `json:"id"`
		Username   string `json:"username"`
		GlobalName string `json:"global_name"`
		Avatar     string `json:"avatar"`
		Bot        bool   `json:"bot"`
	}
	wireMember struct {
		Guild  string    `json:"guild_id"` // in events
		User   *wireUser `json:"user"`
		Nick   string    `json:"nick"`
		Avatar string    `json:"avatar"`
		Roles  []string  `json:"roles"`
	}
	wireRole struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		Permissions uint64 `json:"permissions,string"`
		Color       uint32 `json:"color"`
		Position    int32  `json:"position"`
		Hoist       bool   `json:"hoist"`
	}
	wireOverwrite struct {
		ID    string `json:"id"`
		Allow uint64 `json:"allow,string"`
		Deny  uint64 `json:"deny,string"`
	}
	wireChannel struct {
		ID         string          `json:"id"`
		Type       int             `json:"type"`
		Guild      string          `json:"guild_id"`
		Parent     string          `json:"parent_id"`
		Name       string          `json:"name"`
		Topic      string          `json:"topic"`
		Last       string          `json:"last_message_id"`
		Overwrites []wireOverwrite `json:"permission_overwrites"`
	}
	wireGuild struct {
		ID          string         `json:"id"`
		Name        string         `json:"name"`
		Owner       string         `json:"owner_id"`
		Icon        string         `json:"icon"`
		Tier        int            `json:"premium_tier"`
		Unavailable bool           `json:"unavailable"`
		Large       bool           `json:"large"`
		Count       int            `json:"member_count"`
		Roles       []wireRole     `json:"roles"`
		Channels    []wireChannel  `json:"channels"`
		Threads     []wireChannel  `json:"threads"`
		Members     []wireMember   `json:"members"`
		Presences   []wirePresence `json:"presences"`
	}
	wireEmoji struct {
		ID       string `json:"id"`
		Name     string `json:"name"`
		Animated bool   `json:"animated"`
	}
	wireAttachment struct {
		ID       string  `json:"id"`
		Name     string  `json:"filename"`
		Title    string  `json:"title"`
		About    string  `json:"description"`
		Type     string  `json:"content_type"`
		Size     int64   `json:"size"`
		URL      string  `json:"url"`
		Width    int     `json:"width"`
		Height   int     `json:"height"`
		Seconds  float64 `json:"duration_secs"`
		Waveform string  `json:"waveform"`
	}
	wireReference struct {
		Type    int    `json:"type"` // 0: reply, 1: forwarded
		Message string `json:"message_id"`
		Channel string `json:"channel_id"`
		Guild   string `json:"guild_id"`
	}
	wireSticker struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Format int    `json:"format_type"` // 1: PNG, 2: APNG, 3: Lottie, 4: GIF
	}
	wirePoll struct {
		Question struct {
			Text string `json:"text"`
		} `json:"question"`
		Answers []struct {
			Media struct {
				Text string `json:"text"`
			} `json:"poll_media"`
		} `json:"answers"`
	}
	wireMessage struct {
		ID          string             `json:"id"`
		Channel     string             `json:"channel_id"`
		Guild       string             `json:"guild_id"`
		Author      *wireUser          `json:"author"`
		Member      *wireMember        `json:"member"`
		Content     string             `json:"content"`
		Type        int                `json:"type"`
		Flags       int                `json:"flags"`
		Time        time.Time          `json:"timestamp"`
		Edited      *time.Time         `json:"edited_timestamp"`
		Webhook     string             `json:"webhook_id"`
		App         string             `json:"application_id"`
		Everyone    bool               `json:"mention_everyone"`
		Mentions    []wireUser         `json:"mentions"`
		Attachments []wireAttachment   `json:"attachments"`
		Embeds      []discordfmt.Embed `json:"embeds"`
		Reference   *wireReference     `json:"message_reference"`
		Referenced  *wireMessage       `json:"referenced_message"`
		Snapshots   []struct {
			Message wireMessage `json:"message"`
		} `json:"message_snapshots"`
		Stickers []wireSticker `json:"sticker_items"`
		Poll     *wirePoll     `json:"poll"`
	}
	wireReaction struct {
		User    string    `json:"user_id"`
		Channel string    `json:"channel_id"`
		Message string    `json:"message_id"`
		Guild   string    `json:"guild_id"`
		Emoji   wireEmoji `json:"emoji"`
	}
	wirePresence struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
		Guild      string `json:"guild_id"`
		Status     string `json:"status"`
		Activities []struct {
			Name  string     `json:"name"`
			Type  int        `json:"type"` // 4: custom status
			State string     `json:"state"`
			Emoji *wireEmoji `json:"emoji"`
		} `json:"activities"`
	}
	wireWebhook struct {
		ID      string `json:"id"`
		Token   string `json:"token"`
		Channel string `json:"channel_id"`
		App     string `json:"application_id"`
	}
)

// Channel types ("Channel Resource") that can be rooms, or are threads.
const (
	channelText         = 0
	channelVoice        = 2
	channelNews         = 5
	channelNewsThread   = 10
	channelThread       = 11
	channelPrivThread   = 12
	flagVoiceMessage    = 1 << 13
	messageDefault      = 0
	messageReply        = 19
	messageCommand      = 20
	messageThreadStart  = 21
	messageContextMenu  = 23
	limitContent        = 2000
	limitTopic          = 1024
	limitFiles          = 10
	limitRequest        = 24 << 20 // of the 25 MiB a request may have, with its frame
	limitTextParts      = 5
	limitThreadName     = 100
	limitReactionsKinds = 20
)

func (c wireChannel) room() bool {
	return c.Type == channelText || c.Type == channelNews || c.Type == channelVoice
}

// youngest is the last message there is; in an empty channel the channel itself,
// which is older than all that will come.
func (c wireChannel) youngest() string { return discordid.Max(c.Last, c.ID) }

func (c wireChannel) thread() bool {
	return c.Type == channelThread || c.Type == channelNewsThread || c.Type == channelPrivThread
}
