package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"
)

// maxBreaks is how often in a row a connection may break without a byte before the reader gives up.
const maxBreaks = 3

// object reads one object: a request begins at the first Read and after each Seek to elsewhere. It is used by one goroutine.
type object struct {
	s    *Store
	ctx  context.Context
	name string
	size int64

	at     int64 // where the reader is
	breaks int
	body   io.ReadCloser // of the request that stands at at, nil if there is none
	cancel context.CancelFunc
	slow   *time.Timer // cancels a request that does not go on
}

var errSeek = errors.New("blob: s3: seek to before the start")

// Seek implements io.Seeker.
func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return o.at, errSeek
	}
	if offset != o.at {
		o.end()
		o.at = offset
	}
	return offset, nil
}

// Read implements io.Reader.
func (o *object) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if o.at >= o.size {
			return 0, io.EOF
		}
		n, err := o.read(p)
		o.at += int64(n)
		if n > 0 {
			o.breaks = 0
			if err != nil {
				o.end()
			}
			return n, nil
		}
		if err == nil {
			continue
		}
		o.end()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // at the end of the object, nothing is read any more
		}
		if o.breaks++; o.breaks >= maxBreaks || o.ctx.Err() != nil {
			return 0, fmt.Errorf("blob: s3: read object: %w", err)
		}
	}
}

func (o *object) read(p []byte) (int, error) {
	if o.body == nil {
		if err := o.begin(); err != nil {
			return 0, err
		}
	}
	o.slow.Reset(o.s.o.Timeout)
	n, err := o.body.Read(p)
	o.slow.Stop()
	return n, err
}

func (o *object) begin() error {
	ctx, cancel := context.WithCancel(o.ctx)
	get := minio.GetObjectOptions{}
	if o.at > 0 {
		if err := get.SetRange(o.at, 0); err != nil {
			cancel()
			return fmt.Errorf("blob: s3: %w", err)
		}
	}
	// The library may read on after the header where it does not like it, so the time runs from here. Attempts share it.
	slow := time.AfterFunc(o.s.o.Timeout*time.Duration(o.s.o.Retries+1), cancel)
	body, _, _, err := o.s.api.GetObject(ctx, o.s.o.Bucket, o.name, get)
	slow.Stop()
	if err != nil {
		cancel()
		return err
	}
	o.body, o.cancel, o.slow = body, cancel, slow
	return nil
}

// end ends the request that is under way.
func (o *object) end() {
	if o.body == nil {
		return
	}
	o.slow.Stop()
	o.cancel()
	_ = o.body.Close() // what it would say is known
	o.body = nil
}

// Close implements io.Closer.
func (o *object) Close() error {
	o.end()
	return nil
}
