package plugintest

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func fileParts() []part {
	return []part{{"files out", filesOut}, {"files in", filesIn}, {"faces", faces}}
}

func filesOut(t *testing.T, r *rig) {
	if r.caps().Files.Level == sdk.LevelNone {
		t.Skip("the network has no files")
	}
	data := make([]byte, 200_000)
	for i := range data {
		data[i] = byte(i * 3)
	}
	a, b := r.host.AddFile("first.bin", "application/octet-stream", data), r.host.AddFile("second.txt", "text/plain", []byte("second"))
	op := r.message("")
	op.Content.Body = richtext.FromPlain("two files")
	op.Content.Attachments = []sdk.Attachment{{Media: a}, {Media: b}}
	d := r.do(t, op)
	var files []SeenFile
	for _, p := range d.Parts {
		files = append(files, r.find(t, r.room, p.Remote).Files...)
	}
	if len(files) != 2 || !bytes.Equal(files[0].Data, data) || files[0].Name != "first.bin" || string(files[1].Data) != "second" {
		t.Fatalf("people got %d files", len(files))
	}
	// A file without words, and one that the server no longer has.
	op = r.message("")
	op.Content.Attachments = []sdk.Attachment{{Media: b}}
	r.do(t, op)
	op = r.message("where is it?")
	op.Content.Attachments = []sdk.Attachment{{Media: sdk.Media{ID: "gone", Name: "gone", Size: 5}}}
	if _, err := r.try(t, op); !wrong(err) {
		t.Fatal(err)
	}
	if limit := r.caps().Files.MaxSize; limit > 0 && limit < 64<<20 {
		op = r.message("too big")
		op.Content.Attachments = []sdk.Attachment{{Media: r.host.AddFile("big", "application/octet-stream", make([]byte, limit+1))}}
		if _, err := r.try(t, op); !wrong(err) {
			t.Fatal(err)
		}
	}
}

// filesIn reads a file of the network whole and in ranges; one that was copied at
// once is read from the server.
func filesIn(t *testing.T, r *rig) {
	if !r.net.Cause(t, CauseFile) {
		t.Skip("the network has no files")
	}
	var media sdk.Media
	r.host.Await(t, "the file", func() bool {
		return slices.ContainsFunc(r.host.Events(), func(e sdk.Event) bool {
			m, ok := e.(*sdk.Message)
			if !ok || len(m.Content.Attachments) == 0 {
				return false
			}
			media = m.Content.Attachments[0].Media
			return true
		})
	})
	fetch := r.remote().FetchMedia
	if !media.Lazy {
		fetch = r.host.Open
	}
	for name, tc := range map[string]struct {
		ask        sdk.Range
		from, size int64
	}{
		"whole":        {sdk.Range{}, 0, FileSize},
		"beginning":    {sdk.Range{Length: 1000}, 0, 1000},
		"middle":       {sdk.Range{Offset: 100_000, Length: 65_537}, 100_000, 65_537},
		"last byte":    {sdk.Range{Offset: FileSize - 1}, FileSize - 1, 1},
		"past the end": {sdk.Range{Offset: FileSize - 10, Length: 1000}, FileSize - 10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := fetch(t.Context(), sdk.MediaRequest{ID: media.ID, Range: tc.ask, In: sdk.PortalKey{Room: r.room}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c.Body)
			_ = c.Body.Close()
			if err != nil || c.Size != FileSize || c.Type == "" {
				t.Fatal(c, err)
			}
			from := tc.from
			if c.Range.IsZero() { // a network without ranges gives all of it
				from, tc.size = 0, FileSize
			}
			if int64(len(got)) != tc.size {
				t.Fatalf("%d bytes, %d were asked for", len(got), tc.size)
			}
			for i, b := range got {
				if b != FileByte(from+int64(i)) {
					t.Fatalf("byte %d is %d", from+int64(i), b)
				}
			}
		})
	}
	if _, err := fetch(t.Context(), sdk.MediaRequest{ID: "no-such-file"}); !wrong(err) {
		t.Fatal(err)
	}
	// One that is given up in the middle takes nothing with it.
	c, err := fetch(t.Context(), sdk.MediaRequest{ID: media.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	_ = c.Body.Close()
	r.do(t, r.message("still here"))
}

// faces of people can be fetched, and another one has another key.
func faces(t *testing.T, r *rig) {
	face := func() *sdk.Media {
		u, err := r.remote().UserInfo(t.Context(), sdk.UserInfoRequest{User: r.net.Person()})
		if err != nil {
			t.Fatal(err)
		}
		return u.Avatar
	}
	first := face()
	if first == nil || !r.remote().Can(sdk.AbilityMedia) {
		t.Skip("people have no faces")
	}
	c, err := r.remote().FetchMedia(t.Context(), sdk.MediaRequest{ID: first.ID})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(c.Body)
	_ = c.Body.Close()
	if err != nil || len(data) == 0 || c.Size >= 0 && c.Size != int64(len(data)) {
		t.Fatal(len(data), c.Size, err)
	}
	if r.net.Cause(t, CauseFace) {
		if second := face(); second == nil || second.Key == first.Key {
			t.Fatal(second)
		}
	}
}
