package slacktest

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// newFile makes a file without content; s.mu is held.
func (s *Server) newFile(owner, name string, size int) *File {
	f := &File{ID: s.id("F"), Name: name, Title: name, Size: size, User: owner, owner: owner, Mode: "hosted", Mimetype: mime.TypeByExtension(path.Ext(name))}
	if f.Mimetype == "" {
		f.Mimetype = "application/octet-stream"
	}
	base := s.web.URL + "/files/" + TeamID + "-" + f.ID
	f.URLPrivate, f.URLPrivateDownload = base+"/"+name, base+"/download/"+name
	f.Shares = map[string]map[string][]Share{"public": {}, "private": {}}
	s.files[f.ID] = f
	return f
}

func (s *Server) uploadURL(r request) M {
	size, err := strconv.Atoi(r.args["length"])
	if err != nil || size <= 0 || r.args["filename"] == "" {
		return failure("invalid_arguments")
	}
	f := s.newFile(r.user, r.args["filename"], size)
	key := s.id("upload")
	s.uploads[key] = f
	return good(M{"upload_url": s.web.URL + "/upload/" + key, "file_id": f.ID})
}

func (s *Server) completeUpload(r request) M {
	var list []struct{ ID, Title string }
	if json.Unmarshal([]byte(r.args["files"]), &list) != nil || len(list) == 0 {
		return failure("invalid_arguments")
	}
	var files []*File
	var out []M
	for _, one := range list {
		f := s.files[one.ID]
		if f == nil || f.owner != r.user || !f.uploaded {
			return failure("file_not_found")
		}
		if one.Title != "" {
			f.Title = one.Title
		}
		files = append(files, f)
		out = append(out, M{"id": f.ID, "title": f.Title})
	}
	if id := r.args["channel_id"]; id != "" {
		r.args["channel"] = id
		c, code := s.into(r)
		if code != "" {
			return failure(code)
		}
		m := &Message{User: r.user, Text: r.args["initial_comment"], Team: TeamID}
		if r.bot {
			m.BotID, m.AppID = BotID, AppID
		}
		s.share(c, files, m, r.args["thread_ts"])
	}
	return good(M{"files": out})
}

// share posts the message that shows files; s.mu is held.
func (s *Server) share(c *Channel, files []*File, m *Message, thread string) string {
	m.Type, m.Subtype, m.Files, m.ThreadTS = "message", "file_share", files, thread
	sort := "public"
	if c.Private {
		sort = "private"
	}
	ts := s.append(c, m)
	for _, f := range files {
		f.Shares[sort][c.ID] = append(f.Shares[sort][c.ID], Share{TS: ts, ThreadTS: thread})
	}
	return ts
}

func (s *Server) fileInfo(r request) M {
	f := s.files[r.args["file"]]
	if f == nil {
		return failure("file_not_found")
	}
	out := *f
	if s.lateShare > 0 {
		s.lateShare--
		out.Shares = nil
	}
	return good(M{"file": out})
}

func (s *Server) fileDelete(r request) M {
	f := s.files[r.args["file"]]
	switch {
	case f == nil:
		return failure("file_not_found")
	case f.owner != r.user:
		return failure("cant_delete_file")
	}
	delete(s.files, f.ID)
	for _, id := range s.names {
		c := s.channels[id]
		for _, m := range append([]*Message(nil), c.Messages...) {
			if len(m.Files) == 1 && m.Files[0] == f {
				s.remove(c, m.TS)
			}
		}
	}
	return good(nil)
}

// serveFile takes uploads and gives files (with the token) and faces (without).
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case parts[0] == "upload" && r.Method == http.MethodPost:
		s.takeUpload(w, r, parts[1])
	case parts[0] == "avatar":
		if r.Header.Get("Authorization") != "" {
			http.Error(w, "a token was sent to a public picture", http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write([]byte("\x89PNG " + parts[1]))
	case parts[0] == "files" && len(parts) > 2:
		s.giveFile(w, r, strings.TrimPrefix(parts[1], TeamID+"-"))
	default:
		http.NotFound(w, r)
	}
}

// takeUpload takes raw bytes, or the part "file" of a form.
func (s *Server) takeUpload(w http.ResponseWriter, r *http.Request, key string) {
	body := io.Reader(r.Body)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		file, _, err := r.FormFile("file")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		defer file.Close()
		body = file
	}
	data, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.uploads[key]
	if f == nil || f.Size != len(data) {
		http.Error(w, "no such upload, or of another size", http.StatusBadRequest)
		return
	}
	delete(s.uploads, key)
	f.data, f.uploaded = data, true
	_, _ = w.Write([]byte("OK - " + strconv.Itoa(len(data))))
}

// giveFile: without a good token comes the page to sign in, with status 200.
func (s *Server) giveFile(w http.ResponseWriter, r *http.Request, id string) {
	s.mu.Lock()
	f := s.files[id]
	req := request{token: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	code := s.who(&req)
	s.mu.Unlock()
	if code != "" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!DOCTYPE html><html><body>Sign in to Acme</body></html>"))
		return
	}
	if f == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.Mimetype)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}
