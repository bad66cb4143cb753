package discordtest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/coder/websocket"
)

// rawConn is a connection to the gateway.
type rawConn struct {
	t   *testing.T
	ctx context.Context
	ws  *websocket.Conn
	seq int
}

func dialRaw(t *testing.T, address string) *rawConn {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ws, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &rawConn{t: t, ctx: ctx, ws: ws}
}

func (c *rawConn) send(v M) {
	c.t.Helper()
	b, _ := json.Marshal(v)
	if err := c.ws.Write(c.ctx, websocket.MessageText, b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawConn) next() (M, error) {
	_, b, err := c.ws.Read(c.ctx)
	if err != nil {
		return nil, err
	}
	var v M
	if err := json.Unmarshal(b, &v); err != nil {
		c.t.Fatal(err)
	}
	if s, ok := v["s"].(float64); ok {
		c.seq = int(s)
	}
	return v, nil
}

// await reads up to an event.
func (c *rawConn) await(kind string) M {
	c.t.Helper()
	for {
		v, err := c.next()
		if err != nil {
			c.t.Fatal(kind, ": ", err)
		}
		if v["t"] == kind {
			return v["d"].(M)
		}
	}
}

// op reads up to an opcode.
func (c *rawConn) op(op int) {
	c.t.Helper()
	for {
		v, err := c.next()
		if err != nil {
			c.t.Fatal(op, ": ", err)
		}
		if v["op"] == float64(op) {
			return
		}
	}
}

// closed reads up to the end and gives the code.
func (c *rawConn) closed() int {
	c.t.Helper()
	for {
		if _, err := c.next(); err != nil {
			return int(websocket.CloseStatus(err))
		}
	}
}
