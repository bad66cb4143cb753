package discordtest

import (
	"slices"
	"time"
)

// M is a JSON object.
type M = map[string]any

// Permissions ("Permissions", Bitwise Permission Flags).
const (
	PermKick          uint64 = 1 << 1
	PermBan           uint64 = 1 << 2
	PermAdministrator uint64 = 1 << 3
	PermManageChannel uint64 = 1 << 4
	PermReact         uint64 = 1 << 6
	PermView          uint64 = 1 << 10
	PermSend          uint64 = 1 << 11
	PermManageMessage uint64 = 1 << 13
	PermAttach        uint64 = 1 << 15
	PermHistory       uint64 = 1 << 16
	PermEveryone      uint64 = 1 << 17
	PermWebhooks      uint64 = 1 << 29
	PermPublicThreads uint64 = 1 << 35
	PermSendInThreads uint64 = 1 << 38
	PermDefault              = PermReact | PermView | PermSend | PermAttach | PermHistory | PermPublicThreads | PermSendInThreads
)

// Intents ("Gateway", List of Intents).
const (
	IntentGuilds     = 1 << 0
	IntentMembers    = 1 << 1
	IntentModeration = 1 << 2
	IntentWebhooks   = 1 << 5
	IntentPresences  = 1 << 8
	IntentMessages   = 1 << 9
	IntentReactions  = 1 << 10
	IntentTyping     = 1 << 11
	IntentDMs        = 1 << 12
	IntentDMReact    = 1 << 13
	IntentDMTyping   = 1 << 14
	IntentContent    = 1 << 15
	knownIntents     = 1<<26 - 1
)

// Channel types that occur here.
const (
	TypeText         = 0
	TypeDM           = 1
	TypeVoice        = 2
	TypeCategory     = 4
	TypePublicThread = 11
	TypeForum        = 15
)

// User is an account.
type User struct {
	ID, Username, GlobalName, Avatar string
	Bot                              bool
}

// App is a bot with its token and what its portal page has switched on.
type App struct {
	ID, Token string
	User      *User
	// Privileged are the privileged intents it may ask for.
	Privileged int
}

// Role is a role of a guild; the one with the guild's id is everybody's.
type Role struct {
	ID, Name    string
	Permissions uint64
	Color       int
	Position    int
}

// Member is a user in a guild.
type Member struct {
	User   *User
	Nick   string
	Avatar string
	Roles  []string
	Joined time.Time
	Status string // online, idle, dnd, offline
	Custom string // text of the custom status
}

// Overwrite changes permissions in a channel, for a role or a member.
type Overwrite struct {
	ID          string
	Allow, Deny uint64
}

// Guild is a server.
type Guild struct {
	ID, Name, Owner string
	Roles           []*Role
	Members         []*Member
	Bans            []string
	Down            bool // an outage: nothing of it is told
}

func (g *Guild) member(user string) *Member {
	for _, m := range g.Members {
		if m.User.ID == user {
			return m
		}
	}
	return nil
}

func (g *Guild) role(id string) *Role {
	for _, r := range g.Roles {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// Channel is a channel, a thread or a direct chat.
type Channel struct {
	ID, Guild, Parent, Name, Topic string
	Type                           int
	Overwrites                     []Overwrite
	Archived                       bool
	Recipients                     []string // of a direct chat
	Last                           string   // id of the last message
	Gone                           bool
}

func (c *Channel) thread() bool { return c.Type == TypePublicThread }

// Webhook speaks in a channel under any name.
type Webhook struct {
	ID, Token, Channel, App, Name string
}

// File is an attachment.
type File struct {
	ID, Name, Type string
	Data           []byte
	Duration       float64
	Waveform       string
}

// Reaction is one person's.
type Reaction struct {
	Name, ID string // "👍", or name and id of a custom one
	User     string
}

// Message is a message as everybody sees it, and whom it called.
type Message struct {
	ID, Channel, Content, Nonce string
	Author                      User
	Webhook, App, AvatarURL     string
	Type, Flags                 int
	Time, Edited                time.Time
	Files                       []File
	Embeds                      []M
	Reference                   M
	Snapshots                   []M
	Stickers                    []M
	Reactions                   []Reaction
	Deleted, Pinned             bool
	// Called are the ids of the users and roles that were notified, "everyone" for all;
	// an edit adds to them.
	Called []string
	Shown  []string // users that are mentioned, notified or not
}

func (m *Message) clone() Message {
	c := *m
	c.Files, c.Reactions, c.Called = slices.Clone(m.Files), slices.Clone(m.Reactions), slices.Clone(m.Called)
	return c
}
