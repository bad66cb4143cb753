package slack

// scope is a right of the app, and what is lost without it.
type scope struct {
	name, lost string
	needed     bool // without it nothing works
}

// scopes are what the manifest asks for.
func scopes() []scope {
	return []scope{
		{"channels:history", "messages of public channels are not seen", true},
		{"channels:read", "public channels cannot be looked at", true},
		{"chat:write", "nothing can be written", true},
		{"users:read", "people have no names", true},
		{"chat:write.customize", "XMPP people write under the bot's name, their own stands in the text", false},
		{"channels:join", "the bot cannot enter public channels by itself: it has to be invited", false},
		{"channels:manage", "topics of public channels cannot be set, nobody can be invited or removed", false},
		{"groups:history", "messages of private channels are not seen", false},
		{"groups:read", "private channels cannot be looked at", false},
		{"groups:write", "topics of private channels cannot be set, nobody can be invited or removed", false},
		{"im:history", "answers in direct messages are not seen", false},
		{"im:read", "direct messages are not read back after an outage", false},
		{"im:write", "no direct messages can be begun", false},
		{"mpim:history", "messages of group chats are not seen", false},
		{"mpim:read", "group chats cannot be looked at", false},
		{"reactions:read", "reactions are not seen", false},
		{"reactions:write", "reactions cannot be set", false},
		{"files:read", "files of Slack cannot be opened", false},
		{"files:write", "files cannot be sent", false},
		{"metadata.message:read", "after a crash a message may be sent twice", false},
		{"users:read.email", "people cannot be found by their e-mail address", false},
		{"usergroups:read", "user groups are shown by their id", false},
		{"emoji:read", "custom emoji have no pictures", false},
		{"dnd:read", "\"do not disturb\" is not seen", false},
	}
}

// botEvents are the events that the manifest subscribes to.
func botEvents() []string {
	return []string{
		"channel_archive", "channel_deleted", "channel_id_changed", "channel_left", "channel_rename", "channel_unarchive", "dnd_updated_user", "emoji_changed", "group_archive",
		"group_deleted", "group_left", "group_rename", "group_unarchive", "member_joined_channel", "member_left_channel", "message.channels", "message.groups", "message.im",
		"message.mpim", "reaction_added", "reaction_removed", "subteam_created", "subteam_updated", "team_join", "user_change",
	}
}
