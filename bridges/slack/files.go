package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Files go out with the external upload flow: an address for the bytes, the bytes, and
// one call that shows all files of a message. That call knows no metadata, so the ids are
// written down before it: "upload/<op>" in the host's state says which files to look for
// if the outcome is in doubt.

// upload is a file on its way: one of the host's, or a text.
type upload struct {
	media sdk.Media
	text  []byte
	id    string
}

// uploadNote is what is written down.
type uploadNote struct {
	Files []string  `json:"files"`
	At    time.Time `json:"at"`
}

// filesPart is the part of the message that shows the files.
const filesPart sdk.PartID = "files"

// maxUnsized bounds a file whose size nobody stated: it is read into memory.
const maxUnsized = 64 << 20

func uploadKey(op sdk.OpID) string { return "upload/" + string(op) }

func checkFiles(list []sdk.Attachment) error {
	if len(list) > 10 {
		return sdk.Refuse(sdk.CodeInvalid, "too many files for one message on Slack")
	}
	for _, a := range list {
		switch {
		case a.Media.Size > maxFile:
			return sdk.Refuse(sdk.CodeTooBig, "%s is too big for Slack", firstText(a.Media.Name, "the file"))
		case a.Media.Size == 0:
			return sdk.Refuse(sdk.CodeInvalid, "%s is empty, and Slack takes no empty files", firstText(a.Media.Name, "the file"))
		}
	}
	return nil
}

// fileLine is what is said where nothing is.
func fileLine(files []upload) string {
	if len(files) == 1 {
		return "sent a file: " + firstText(fileName(files[0].media.Name), "file")
	}
	return "sent " + strconv.Itoa(len(files)) + " files"
}

// uploadAll brings the bytes to Slack, where nobody sees them yet.
func (c *Connector) uploadAll(ctx context.Context, s *sending) error {
	if s.op.Doubt {
		entry, err := c.host.State().Get(ctx, uploadKey(s.op.ID))
		var note uploadNote
		if err == nil && json.Unmarshal(entry.Value, &note) == nil && len(note.Files) == len(s.files) {
			for i := range s.files {
				s.files[i].id = note.Files[i]
			}
			return nil
		}
		if err != nil && !errors.Is(err, sdk.ErrNotFound) {
			return err
		}
	}
	return c.uploadFresh(ctx, s)
}

func (c *Connector) uploadFresh(ctx context.Context, s *sending) error {
	note := uploadNote{At: c.opt.Now()}
	for i := range s.files {
		id, err := c.upload(ctx, s.files[i])
		if err != nil {
			return err
		}
		s.files[i].id = id
		note.Files = append(note.Files, id)
	}
	raw, err := json.Marshal(note)
	if err != nil {
		return err
	}
	if _, err := c.host.State().Put(ctx, uploadKey(s.op.ID), raw, sdk.AnyRevision); err != nil {
		return err
	}
	c.forgetUploads(ctx)
	return nil
}

// forgetUploads removes notes that nobody will ask for any more.
func (c *Connector) forgetUploads(ctx context.Context) {
	list, err := c.host.State().List(ctx, "upload/", "", 200)
	if err != nil || len(list) < 100 {
		return
	}
	for _, e := range list {
		var note uploadNote
		if json.Unmarshal(e.Value, &note) != nil || c.opt.Now().Sub(note.At) > 48*time.Hour {
			_ = c.host.State().Delete(ctx, e.Key, e.Revision)
		}
	}
}

// upload brings one file to Slack and returns its id.
func (c *Connector) upload(ctx context.Context, u upload) (string, error) {
	body, size, err := c.bytesOf(ctx, u)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	var out slackgo.GetUploadURLExternalResponse
	_, err = c.api.call(ctx, "files.getUploadURLExternal", &out, func(ctx context.Context, client *slackgo.Client) error {
		got, err := client.GetUploadURLExternalContext(ctx, slackgo.GetUploadURLExternalParameters{FileName: firstText(fileName(u.media.Name), "file"), FileSize: int(size)})
		if err == nil {
			out = *got
		}
		return err
	})
	if err != nil {
		return "", explain("cannot upload the file", err)
	}
	if !c.private(out.UploadURL) || !slackid.IsFile(out.FileID) {
		return "", sdk.RetryAfter(0, errors.New("slack: an upload address that is not Slack's"))
	}
	// Not with the library, which sends a form without its length (and with the token).
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, out.UploadURL, io.LimitReader(body, size))
	if err != nil {
		return "", sdk.RetryAfter(0, fmt.Errorf("slack: upload: %w", err))
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.download().Do(req)
	if err != nil {
		return "", explain("cannot upload the file", fmt.Errorf("upload: %w", err))
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", explain("cannot upload the file", fmt.Errorf("upload: %w", statusError(resp.StatusCode)))
	}
	return out.FileID, nil
}

// bytesOf opens a file, and says how long it is.
func (c *Connector) bytesOf(ctx context.Context, u upload) (io.ReadCloser, int64, error) {
	if u.text != nil {
		return io.NopCloser(bytes.NewReader(u.text)), int64(len(u.text)), nil
	}
	f, err := c.host.Open(ctx, sdk.MediaRequest{ID: u.media.ID})
	if err != nil {
		return nil, 0, err
	}
	if f.Size >= 0 {
		switch {
		case f.Size == 0:
			err = sdk.Refuse(sdk.CodeInvalid, "the file is empty, and Slack takes no empty files")
		case f.Size > maxFile:
			err = sdk.Refuse(sdk.CodeTooBig, "the file is too big for Slack")
		}
		if err != nil {
			_ = f.Body.Close()
			return nil, 0, err
		}
		return f.Body, f.Size, nil
	}
	defer func() { _ = f.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f.Body, maxUnsized+1))
	if err != nil {
		return nil, 0, sdk.RetryAfter(0, fmt.Errorf("slack: read the file: %w", err))
	}
	switch {
	case len(raw) == 0:
		return nil, 0, sdk.Refuse(sdk.CodeInvalid, "the file is empty, and Slack takes no empty files")
	case len(raw) > maxUnsized:
		return nil, 0, sdk.Refuse(sdk.CodeTooBig, "the file is too big for Slack")
	}
	return io.NopCloser(bytes.NewReader(raw)), int64(len(raw)), nil
}

// shareTries is how often it is asked for the message that shows a file: for about three seconds.
const shareTries = 8

// share shows the files in the channel, unless an earlier attempt did.
func (c *Connector) share(ctx context.Context, s *sending) (sdk.Part, error) {
	first := s.files[0].id
	for _, f := range s.files {
		c.memory.shared.put(f.id, origin{s.op.ID, filesPart})
	}
	if s.op.Doubt {
		switch ts, err := c.sharedAt(ctx, s.ch.ID, first, shareTries); {
		case err != nil && sdk.AsError(err).Temporary:
			return sdk.Part{}, err // not known: sharing them now might show them twice
		case err == nil && ts != "":
			c.memory.sent.put(place{s.ch.ID, ts}, origin{s.op.ID, filesPart})
			return filePart(ts), nil
		}
	}
	err := c.complete(ctx, s)
	if code := codeOf(err); s.op.Doubt && (code == "file_not_found" || code == "invalid_arguments") {
		// The bytes never arrived, or they were forgotten.
		if err := c.uploadFresh(ctx, s); err != nil {
			return sdk.Part{}, err
		}
		err = c.complete(ctx, s)
		first = s.files[0].id
	}
	if err != nil {
		return sdk.Part{}, explain("cannot share the file", err)
	}
	ts, err := c.sharedAt(ctx, s.ch.ID, first, shareTries)
	if err != nil || ts == "" {
		// It is there; where, Slack does not say yet. The file's own id stands for the message.
		c.log.Debug("the place of a file is not known", "file", first, "error", err)
		return sdk.Part{ID: filesPart, Remote: sdk.RemoteMessageID(first), Time: c.opt.Now()}, nil
	}
	c.memory.sent.put(place{s.ch.ID, ts}, origin{s.op.ID, filesPart})
	return filePart(ts), nil
}

func filePart(ts slackid.TS) sdk.Part {
	return sdk.Part{ID: filesPart, Remote: sdk.RemoteMessageID(ts), Time: timeOf(ts)}
}

func (c *Connector) complete(ctx context.Context, s *sending) error {
	q := slackgo.CompleteUploadExternalParameters{Channel: s.ch.ID, ThreadTimestamp: string(s.thread), InitialComment: "from *" + slackfmt.Escape(shownName(s.op.Sender)) + "*"}
	for _, f := range s.files {
		c.memory.shared.put(f.id, origin{s.op.ID, filesPart})
		q.Files = append(q.Files, slackgo.FileSummary{ID: f.id, Title: firstText(fileName(f.media.Name), "file")})
	}
	return c.api.simple(ctx, "files.completeUploadExternal", func(ctx context.Context, client *slackgo.Client) error {
		_, err := client.CompleteUploadExternalContext(ctx, q)
		return err
	})
}

// sharedAt asks for the message that shows a file; Slack may need a moment.
func (c *Connector) sharedAt(ctx context.Context, channel, id string, tries int) (slackid.TS, error) {
	for i := range tries {
		if i > 0 {
			if err := c.api.sleep(ctx, time.Duration(i)*100*time.Millisecond); err != nil {
				return "", err
			}
		}
		f, err := c.fileInfo(ctx, id)
		if err != nil {
			return "", err
		}
		if ts := f.sharedIn(channel); ts != "" {
			return ts, nil
		}
	}
	return "", nil
}
