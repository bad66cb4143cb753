package grpcbridge

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// exactReader ends with an error if there are fewer or more bytes than announced.
type exactReader struct {
	r       io.Reader
	left    int64
	bounded bool
}

func (e *exactReader) Read(p []byte) (int, error) {
	if !e.bounded {
		return e.r.Read(p)
	}
	if e.left == 0 {
		var one [1]byte
		if n, _ := e.r.Read(one[:]); n > 0 {
			return 0, errors.New("more bytes than announced")
		}
		return 0, io.EOF
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if errors.Is(err, io.EOF) {
		if e.left > 0 {
			return n, fmt.Errorf("%d bytes are missing: %w", e.left, io.ErrUnexpectedEOF)
		}
		return n, io.EOF
	}
	return n, err
}

// idleReader and idleWriter let a transfer last as long as bytes move.
type idleReader struct {
	io.Reader
	rc *http.ResponseController
}

func (r idleReader) Read(p []byte) (int, error) {
	_ = r.rc.SetReadDeadline(time.Now().Add(idleLimit))
	return r.Reader.Read(p)
}

type idleWriter struct {
	io.Writer
	rc *http.ResponseController
}

func (w idleWriter) Write(p []byte) (int, error) {
	_ = w.rc.SetWriteDeadline(time.Now().Add(idleLimit))
	return w.Writer.Write(p)
}

// writeMessage writes a message of bridge/v1 as JSON.
func writeMessage(w http.ResponseWriter, code int, m proto.Message) error {
	b, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, err = w.Write(b)
	return err
}

// writeError writes an Error of bridge/v1 as JSON.
func writeError(w http.ResponseWriter, err error) {
	codes := map[sdk.Code]int{
		sdk.CodeNotFound: http.StatusNotFound, sdk.CodeForbidden: http.StatusForbidden, sdk.CodeInvalid: http.StatusBadRequest,
		sdk.CodeTooBig: http.StatusRequestEntityTooLarge, sdk.CodeUnsupported: http.StatusNotImplemented,
	}
	code, ok := codes[sdk.AsError(err).Code]
	if !ok {
		code = http.StatusInternalServerError
	}
	_ = writeMessage(w, code, toPBError(err))
}

// setHead puts what is known of a file into HTTP headers (RFC 9110 §14.4 for the range).
func setHead(h http.Header, m *pb.MediaHead) {
	if m.GetType() != "" {
		h.Set("Content-Type", m.GetType())
	} else {
		h.Set("Content-Type", "application/octet-stream")
	}
	if m.GetName() != "" {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": m.GetName()}))
	}
	if r := m.GetRange(); r != nil {
		last := "*"
		if r.GetLength() > 0 {
			last = strconv.FormatInt(r.GetOffset()+r.GetLength()-1, 10)
		} else if m.GetSize() > 0 {
			last = strconv.FormatInt(m.GetSize()-1, 10)
		}
		total := "*"
		if m.GetSize() >= 0 {
			total = strconv.FormatInt(m.GetSize(), 10)
		}
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%s/%s", r.GetOffset(), last, total))
	}
}

// readHead is the reverse of setHead.
func readHead(resp *http.Response) sdk.MediaContent {
	c := sdk.MediaContent{Body: resp.Body, Type: resp.Header.Get("Content-Type"), Size: resp.ContentLength}
	if _, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil {
		c.Name = params["filename"]
	}
	if resp.StatusCode == http.StatusPartialContent {
		c.Range, c.Size = readContentRange(resp.Header.Get("Content-Range"))
	}
	return c
}

// readContentRange reads what setHead wrote; "*" stands for what is not known.
func readContentRange(h string) (r sdk.Range, size int64) {
	span, total, _ := strings.Cut(strings.TrimPrefix(h, "bytes "), "/")
	from, to, _ := strings.Cut(span, "-")
	first, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return sdk.Range{}, -1
	}
	r.Offset = max(first, 0)
	if last, err := strconv.ParseInt(to, 10, 64); err == nil && last >= first {
		r.Length = last - first + 1
	}
	size, err = strconv.ParseInt(total, 10, 64)
	if err != nil {
		size = -1
	}
	return r, size
}

func pbRange(r sdk.Range) *pb.Range {
	if r.IsZero() {
		return nil
	}
	return &pb.Range{Offset: r.Offset, Length: r.Length}
}

func sdkRange(r *pb.Range) sdk.Range {
	return sdk.Range{Offset: max(r.GetOffset(), 0), Length: max(r.GetLength(), 0)}
}
