package matrixtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Push sends everything that was not pushed yet in one transaction; on 200 it
// counts as pushed. It returns the status, 0 if there was no answer.
func (s *Server) Push(ctx context.Context, to string) int {
	s.mu.Lock()
	events := s.unpushed
	s.next++
	txn := fmt.Sprint("txn", s.next)
	s.mu.Unlock()
	status := s.PushAs(ctx, to, txn, events, nil)
	if status == http.StatusOK {
		s.mu.Lock()
		s.unpushed = s.unpushed[len(events):]
		s.mu.Unlock()
	}
	return status
}

// Waiting is how many events were not pushed yet.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.unpushed)
}

// Lose forgets what was not pushed: it never will be.
func (s *Server) Lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unpushed = nil
}

// Unpushed takes away what was not pushed, for the test to push it as it likes.
func (s *Server) Unpushed() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.unpushed
	s.unpushed = nil
	return events
}

// PushAs sends a transaction under a name.
func (s *Server) PushAs(ctx context.Context, to, txn string, events []Event, ephemeral []Event) int {
	if events == nil {
		events = []Event{}
	}
	s.mu.Lock()
	raw, err := json.Marshal(map[string]any{"events": events, "ephemeral": ephemeral})
	s.mu.Unlock()
	if err != nil {
		panic(fmt.Sprint("matrixtest: push: ", err)) // the test's own events
	}
	return s.PushRaw(ctx, to+"/_matrix/app/v1/transactions/"+url.PathEscape(txn), raw)
}

// PushRaw sends any body.
func (s *Server) PushRaw(ctx context.Context, address string, body []byte) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+s.opt.HSToken)
	return status(req)
}

func status(req *http.Request) int {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
