package discord

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// avatar is a picture of the CDN whose address never expires; its id is its path.
func avatar(file, key string) *sdk.Media {
	return &sdk.Media{ID: sdk.MediaID(file + ".png"), Lazy: true, Key: key, Name: path.Base(file) + ".png", Type: "image/png", Size: -1}
}

func emojiPicture(id, name string) *sdk.Media {
	m := avatar("emojis/"+id, "emoji-"+id)
	m.Name = name + ".png"
	return m
}

const defaultCDN = "https://cdn.discordapp.com"

// FetchMedia implements sdk.MediaSource: faces and emoji. Attachments are copied
// when they arrive.
func (c *Connector) FetchMedia(ctx context.Context, r sdk.MediaRequest) (sdk.MediaContent, error) {
	file := string(r.ID)
	kinds := []string{"avatars", "guilds", "emojis", "icons", "stickers"}
	if path.Clean(file) != file || !slices.Contains(kinds, strings.SplitN(file, "/", 2)[0]) || strings.Trim(file, "abcdefghijklmnopqrstuvwxyz0123456789_/.") != "" {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "there is no such picture")
	}
	address := c.cfg.CDN + "/" + file
	if strings.HasPrefix(file, "stickers/") && strings.HasSuffix(file, ".gif") && c.cfg.CDN == defaultCDN {
		address = "https://media.discordapp.net/" + file // "Sticker GIFs do not use the CDN base URL"
	}
	if r.Thumbnail > 0 {
		size := 16
		for size < r.Thumbnail && size < 4096 {
			size *= 2
		}
		address += "?size=" + strconv.Itoa(size)
	}
	resp, err := c.api.picture(ctx, address, r.Range) //nolint:bodyclose // whoever gets the content closes it
	if err != nil {
		return sdk.MediaContent{}, explain("the picture is not there", err)
	}
	out := sdk.MediaContent{Body: resp.Body, Type: resp.Header.Get("Content-Type"), Name: path.Base(file), Size: resp.ContentLength}
	if resp.StatusCode == http.StatusPartialContent {
		out.Range = sdk.Range{Offset: r.Range.Offset, Length: resp.ContentLength}
		_, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
		if n, err := strconv.ParseInt(total, 10, 64); err == nil {
			out.Size = n
		}
	}
	return out, nil
}

// attachments copies the files of a message to the server; their addresses expire.
// What cannot be copied is returned as a link.
func (c *Connector) attachments(ctx context.Context, out *sdk.Content, m message) []richtext.Node {
	var links []richtext.Node
	for _, a := range m.Attachments {
		media, err := c.copyFile(ctx, m, a)
		if err != nil {
			c.log.Info("attachment not copied", "message", m.ID, "error", err)
			links = append(links, richtext.Para(richtext.Link(a.URL, richtext.Text(fileName(a)))))
			continue
		}
		kind, _, _ := strings.Cut(a.ContentType, "/")
		out.Attachments = append(out.Attachments, sdk.Attachment{
			Media: media, Inline: kind == "image" || kind == "video" || kind == "audio",
			Voice: m.Flags&discordgo.MessageFlagsIsVoiceMessage != 0, Caption: normal(richtext.FromPlain(a.About)),
		})
		if strings.HasPrefix(a.Filename, "SPOILER_") {
			out.Spoiler = true
		}
	}
	return links
}

func fileName(a attachment) string {
	if a.Title != "" {
		return a.Title + path.Ext(a.Filename)
	}
	return a.Filename
}

// copyTries is how often a file is tried that could not be read.
const copyTries = 3

// copyFile copies a file, once: an edit brings it again.
func (c *Connector) copyFile(ctx context.Context, m message, a attachment) (sdk.Media, error) {
	if have, ok := c.files.get(a.ID); ok {
		return have, nil
	}
	var err error
	for try := range copyTries {
		if try > 0 {
			c.pause(ctx, time.Duration(try)*againAfter)
			a.URL = c.freshURL(ctx, m, a)
		}
		var media sdk.Media
		if media, err = c.copyOnce(ctx, a); err == nil {
			c.files.put(a.ID, media)
			return media, nil
		}
		if ctx.Err() != nil {
			return sdk.Media{}, ctx.Err()
		}
	}
	return sdk.Media{}, err
}

// copyTime is how long copying a file may take: what comes behind it waits, and a CDN that
// says nothing would hold up all rooms.
func (c *Connector) copyTime(size int64) time.Duration {
	const slowest, longest = 64 << 10, 10 * time.Minute // bytes in a second
	return min(time.Duration(c.cfg.Timeout)+time.Duration(max(size, 0)/slowest)*time.Second, longest)
}

func (c *Connector) copyOnce(ctx context.Context, a attachment) (sdk.Media, error) {
	ctx, cancel := context.WithTimeout(ctx, c.copyTime(int64(a.Size)))
	defer cancel()
	resp, err := c.api.picture(ctx, a.URL, sdk.Range{})
	if err != nil {
		return sdk.Media{}, err
	}
	defer resp.Body.Close()
	info := sdk.Media{
		Name: fileName(a), Type: a.ContentType, Size: int64(a.Size), Width: a.Width, Height: a.Height, Duration: time.Duration(a.DurationSecs * float64(time.Second)), Key: "attachment-" + a.ID,
	}
	media, err := c.host.Upload(ctx, info, resp.Body)
	if err != nil {
		return sdk.Media{}, err
	}
	// What the server made, with what is known of it here.
	media.Width, media.Height, media.Duration = info.Width, info.Height, info.Duration
	return media, nil
}

// freshURL asks for the message again: its addresses are then good.
func (c *Connector) freshURL(ctx context.Context, m message, a attachment) string {
	again, err := get[message](ctx, c.api, "/channels/"+m.ChannelID+"/messages/"+m.ID, "")
	if err != nil {
		return a.URL
	}
	for _, s := range again.Snapshots {
		again.Attachments = append(again.Attachments, s.Message.Attachments...)
	}
	for _, b := range again.Attachments {
		if b.ID == a.ID {
			return b.URL
		}
	}
	return a.URL
}

// sticker is a picture, or the name of one that is no picture (Lottie).
func (c *Connector) sticker(out *sdk.Content, doc *richtext.Document, s *discordgo.StickerItem) {
	if !discordid.Valid(s.ID) || s.FormatType == discordgo.StickerFormatTypeLottie {
		doc.Blocks = append(doc.Blocks, richtext.Para(richtext.Text(":"+s.Name+":")))
		return
	}
	m := avatar("stickers/"+s.ID, "sticker-"+s.ID)
	m.Name = s.Name + ".png"
	if s.FormatType == discordgo.StickerFormatTypeGIF {
		m.ID, m.Name, m.Type = sdk.MediaID("stickers/"+s.ID+".gif"), s.Name+".gif", "image/gif"
	}
	out.Attachments = append(out.Attachments, sdk.Attachment{Media: *m, Inline: true, Sticker: true})
}
