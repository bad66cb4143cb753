// Package slackfmt turns Slack's formatting into rich text and back: rich_text
// blocks, which are the truth of what people write, and mrkdwn, which is in the
// texts of apps, in attachments, topics and notifications.
//
// It is pure: no I/O, no goroutines, no state; who a reference points at is looked up
// with functions of the caller. What cannot be read loses its formatting, not its
// text.
//
// Outwards a message is one rich_text block, whose texts Slack takes as they are, and
// an escaped text for notifications. So nothing that somebody typed (<!channel>,
// @everyone, <@U012ABC>, *stars*) ever becomes a call or a format: only a mention or a
// style of the tree does, and a broadcast only where [WriteOptions] allows it.
//
// Specification: docs.slack.dev, "Rich text block", "Formatting message text",
// "Legacy: secondary message attachments".
//
//	doc := slackfmt.Read(slackfmt.Source{Text: m.Text, Blocks: m.Blocks}, slackfmt.ReadOptions{})
//	blocks, text := slackfmt.Blocks(doc, slackfmt.WriteOptions{}), slackfmt.Mrkdwn(doc, slackfmt.WriteOptions{})
package slackfmt
