package matrixtest

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// messages pages through a room. A token is a place between two events.
func (c *call) messages() {
	if !c.in() {
		return
	}
	events := slices.DeleteFunc(slices.Clone(c.s.rooms[c.p[0]].events), func(ev Event) bool { return c.s.hidden[ev["event_id"].(string)] })
	q := c.r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 {
		limit = 10
	}
	at := len(events)
	forward := q.Get("dir") == "f"
	if forward {
		at = 0
	}
	if n, err := strconv.Atoi(q.Get("from")); err == nil {
		at = min(max(n, 0), len(events))
	}
	out := map[string]any{"start": strconv.Itoa(at)}
	chunk := []Event{}
	for len(chunk) < limit {
		if forward && at == len(events) || !forward && at == 0 {
			break
		}
		if forward {
			chunk = append(chunk, events[at])
			at++
			continue
		}
		at--
		chunk = append(chunk, events[at])
	}
	out["chunk"] = chunk
	if forward && at < len(events) || !forward && at > 0 {
		out["end"] = strconv.Itoa(at)
	}
	reply(c.w, http.StatusOK, out)
}

func (c *call) relations() {
	chunk := []Event{}
	for _, ev := range c.s.rooms[c.p[0]].events {
		content, _ := ev["content"].(Event)
		relates, _ := content["m.relates_to"].(Event)
		if relates != nil && relates["event_id"] == c.p[1] && relates["rel_type"] == c.p[2] && ev["type"] == c.p[3] {
			chunk = append(chunk, ev)
		}
	}
	reply(c.w, http.StatusOK, map[string]any{"chunk": chunk})
}

func (c *call) download() {
	raw, ok := c.s.media[c.p[1]]
	if !ok {
		refuse(c.w, http.StatusNotFound, "M_NOT_FOUND", "no such file")
		return
	}
	c.w.Header().Set("Content-Type", "text/plain")
	http.ServeContent(c.w, c.r, "", time.Time{}, bytes.NewReader(raw))
}
