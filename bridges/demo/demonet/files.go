package demonet

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"io"
	"strconv"
	"strings"
)

// keepBytes bounds all files together; the oldest go first.
const keepBytes = 32 << 20

type fileStore struct {
	next  int
	total int64
	age   []string
	files map[string]storedFile
}

type storedFile struct {
	File
	data []byte
}

func (s *fileStore) init() { s.files = map[string]storedFile{} }

func (s *fileStore) put(prefix, name, contentType string, data []byte) File {
	s.next++
	f := File{ID: fmt.Sprintf("f-%s-%d", prefix, s.next), Name: name, Type: contentType, Size: int64(len(data))}
	s.files[f.ID] = storedFile{f, data}
	s.age = append(s.age, f.ID)
	s.total += f.Size
	for s.total > keepBytes {
		s.total -= s.files[s.age[0]].Size
		delete(s.files, s.age[0])
		s.age = s.age[1:]
	}
	return f
}

// get finds a file; pictures of people are painted when they are looked at.
func (s *fileStore) get(id string) (storedFile, bool) {
	if rest, ok := strings.CutPrefix(id, "face-"); ok {
		data := paint(rest)
		return storedFile{File{ID: id, Name: id + ".png", Type: "image/png", Size: int64(len(data))}, data}, true
	}
	f, ok := s.files[id]
	return f, ok
}

func (s *fileStore) describe(id string) (File, bool) {
	f, ok := s.get(id)
	return f.File, ok
}

// Upload implements API.
func (n *Network) Upload(_ context.Context, name, contentType string, body io.Reader) (File, error) {
	data, err := io.ReadAll(io.LimitReader(body, MaxFile+1))
	if err != nil {
		return File{}, fmt.Errorf("upload: %w", err)
	}
	if len(data) > MaxFile {
		return File{}, refuse(TooLong, "a file of more than %d bytes", MaxFile)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.reachable(); err != nil {
		return File{}, err
	}
	return n.files.put(n.epoch, name, contentType, data), nil
}

// Download implements API.
func (n *Network) Download(_ context.Context, id string, offset, length int64) (File, io.ReadCloser, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.reachable(); err != nil {
		return File{}, nil, err
	}
	f, ok := n.files.get(id)
	if !ok {
		return File{}, nil, refuse(NotFound, "there is no file %q", id)
	}
	if offset < 0 || offset > f.Size {
		return File{}, nil, refuse(Invalid, "the file has only %d bytes", f.Size)
	}
	data := f.data[offset:]
	if length > 0 && length < int64(len(data)) {
		data = data[:length]
	}
	return f.File, io.NopCloser(bytes.NewReader(data)), nil
}

// faceOf is the file id of somebody's picture; another version is another picture.
func faceOf(id UserID, version int) string { return "face-" + string(id) + "-" + strconv.Itoa(version) }

// paint makes a small symmetric picture out of a name: the same each time.
func paint(seed string) []byte {
	const cell, cells = 12, 5
	h := fnv.New64a()
	_, _ = io.WriteString(h, seed)
	bits := h.Sum64()
	ink := color.RGBA{byte(64 + bits>>40%128), byte(64 + bits>>48%128), byte(64 + bits>>56%128), 255}
	img := image.NewPaletted(image.Rect(0, 0, cell*cells, cell*cells), color.Palette{color.RGBA{240, 240, 240, 255}, ink})
	for y := range cells {
		for x := range cells {
			mirrored := min(x, cells-1-x)
			if bits>>(y*3+mirrored)&1 == 0 {
				continue
			}
			for dy := range cell {
				for dx := range cell {
					img.SetColorIndex(x*cell+dx, y*cell+dy, 1)
				}
			}
		}
	}
	var out bytes.Buffer
	_ = png.Encode(&out, img) // a buffer takes everything
	return out.Bytes()
}
