package demonet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func quiet(t *testing.T) *Network {
	t.Helper()
	n := New(Options{TalkEvery: -1})
	t.Cleanup(n.Close)
	return n
}

// served is the same network over HTTP.
func served(t *testing.T, n *Network) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, n) }()
	c := Dial(l.Addr().String())
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Both ways to the network are the same network.
func TestAPI(t *testing.T) {
	for name, dial := range map[string]func(*testing.T, *Network) API{
		"in process": func(_ *testing.T, n *Network) API { return n },
		"over http":  func(t *testing.T, n *Network) API { return served(t, n) },
	} {
		t.Run(name, func(t *testing.T) {
			n := quiet(t)
			api := dial(t, n)
			ctx := t.Context()
			start, err := api.Events(ctx, "", 10)
			if err != nil || len(start.Events) != 0 || start.Next == "" {
				t.Fatal(start, err)
			}
			res, err := api.Call(ctx, Request{Do: "post", As: "mira", Room: "lobby", Text: "hello", Key: "k1"})
			if err != nil {
				t.Fatal(err)
			}
			again, err := api.Call(ctx, Request{Do: "post", As: "mira", Room: "lobby", Text: "hello", Key: "k1"})
			if err != nil || again.Message.ID != res.Message.ID {
				t.Fatal(again, err)
			}
			page, err := api.Events(ctx, start.Next, 10)
			if err != nil || len(page.Events) != 1 || page.Events[0].Message.Text != "hello" || page.Events[0].Key != "k1" {
				t.Fatalf("%+v %v", page, err)
			}
			f, err := api.Upload(ctx, "a name & more.txt", "text/plain", strings.NewReader("0123456789"))
			if err != nil {
				t.Fatal(err)
			}
			got, body, err := api.Download(ctx, f.ID, 3, 4)
			if err != nil || got != f {
				t.Fatal(got, err)
			}
			data, err := io.ReadAll(body)
			_ = body.Close()
			if err != nil || string(data) != "3456" {
				t.Fatalf("%q %v", data, err)
			}
			for _, tc := range []struct {
				err  func() error
				want Code
			}{
				{func() error {
					_, err := api.Call(ctx, Request{Do: "post", As: "mira", Room: "nowhere", Text: "x"})
					return err
				}, NotFound},
				{func() error {
					_, err := api.Call(ctx, Request{Do: "post", As: "nobody", Room: "lobby", Text: "x"})
					return err
				}, NotFound},
				{func() error { _, err := api.Call(ctx, Request{Do: "post", As: "mira", Room: "lobby"}); return err }, Invalid},
				{func() error {
					_, err := api.Call(ctx, Request{Do: "post", As: "mira", Room: "lobby", Text: strings.Repeat("x", MaxText+1)})
					return err
				}, TooLong},
				{func() error {
					_, err := api.Call(ctx, Request{Do: "edit", As: "otto", Message: res.Message.ID, Text: "x"})
					return err
				}, Forbidden},
				{func() error {
					_, err := api.Call(ctx, Request{Do: "kick", As: "mira", Room: "lobby", User: "pip"})
					return err
				}, Forbidden},
				{func() error { _, err := api.Call(ctx, Request{Do: "create", As: "mira", Room: "lobby"}); return err }, Conflict},
				{func() error { _, err := api.Call(ctx, Request{Do: "login", Text: "mira", Status: Word}); return err }, Conflict},
				{func() error { _, err := api.Call(ctx, Request{Do: "login", Text: "zoe", Status: "no"}); return err }, BadToken},
				{func() error { _, err := api.Call(ctx, Request{Do: "guest", As: "mira"}); return err }, Invalid},
				{func() error { _, err := api.Call(ctx, Request{Do: "retire", As: "mira"}); return err }, Forbidden},
				{func() error { _, err := api.Events(ctx, page.Next+"9", 1); return err }, Invalid},
				{func() error { _, _, err := api.Download(ctx, "f-none", 0, 0); return err }, NotFound},
				{func() error { _, _, err := api.Download(ctx, f.ID, 11, 0); return err }, Invalid},
				{func() error { _, err := api.Upload(ctx, "x", "", bytes.NewReader(make([]byte, MaxFile+1))); return err }, TooLong},
				{func() error { _, err := api.Call(ctx, Request{Do: "outage", Text: "soon"}); return err }, Invalid},
			} {
				if err := tc.err(); codeOf(err) != tc.want {
					t.Errorf("%v, not %s", err, tc.want)
				}
			}
			if _, err := api.Call(ctx, Request{Do: "outage", Text: "1h"}); err != nil {
				t.Fatal(err)
			}
			if _, err := api.Events(ctx, page.Next, 1); codeOf(err) != Unavailable {
				t.Fatal(err)
			}
		})
	}
}

// Somebody who waits gets what happens next, or gives up.
func TestEventsWait(t *testing.T) {
	n := quiet(t)
	api := served(t, n)
	start, err := api.Events(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan Page, 1)
	go func() {
		page, err := api.Events(t.Context(), start.Next, 10)
		if err != nil {
			t.Error(err)
		}
		got <- page
	}()
	if _, err := n.Act(Request{Do: "post", As: "mira", Room: "lobby", Text: "at last"}); err != nil {
		t.Fatal(err)
	}
	if page := <-got; len(page.Events) != 1 || page.Events[0].Message.Text != "at last" {
		t.Fatalf("%+v", page)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Events(ctx, start.Next, 0); err != nil {
		t.Fatal("what is there needs no waiting: ", err)
	}
}

// The network forgets, and says so to those who were away for too long.
func TestMemoryIsBounded(t *testing.T) {
	n := quiet(t)
	first, err := n.Events(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range keepEvents + 500 {
		if _, err := n.Act(Request{Do: "post", As: "pip", Room: "lobby", Text: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if l := len(n.Messages("lobby")); l != keepMessages {
		t.Errorf("%d messages", l)
	}
	page, err := n.Events(t.Context(), first.Next, 3)
	if err != nil || !page.Lost || len(page.Events) != 3 {
		t.Fatal(page.Lost, len(page.Events), err)
	}
	next, err := n.Events(t.Context(), page.Next, 1)
	if err != nil || next.Lost || next.Events[0].Seq != page.Events[2].Seq+1 {
		t.Fatal(next, err)
	}
	// A position of another life: from the beginning, and something was lost.
	if page, err := n.Events(t.Context(), "another.5", 1); err != nil || !page.Lost {
		t.Fatal(page, err)
	}
	for range keepBytes/MaxFile + 3 {
		if _, err := n.Upload(t.Context(), "big", "", bytes.NewReader(make([]byte, MaxFile))); err != nil {
			t.Fatal(err)
		}
	}
	if n.files.total > keepBytes || len(n.files.files) != keepBytes/MaxFile {
		t.Errorf("%d bytes in %d files", n.files.total, len(n.files.files))
	}
	for i := range keepKeys + 10 {
		if _, err := n.Call(t.Context(), Request{Do: "self", Key: fmt.Sprint("k", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(n.keys) != keepKeys {
		t.Errorf("%d keys", len(n.keys))
	}
}

func TestFaces(t *testing.T) {
	n := quiet(t)
	seen := map[string]bool{}
	for _, p := range cast() {
		for range 2 {
			_, body, err := n.Download(t.Context(), faceOf(p.id, 1), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(bytes.NewReader(data))
			if err != nil || img.Bounds().Dx() != 60 || len(data) > 2000 {
				t.Fatal(len(data), err)
			}
			seen[string(data)] = true
		}
	}
	if len(seen) != len(cast()) {
		t.Errorf("%d faces of %d people", len(seen), len(cast()))
	}
}

// After Close nobody does anything any more.
func TestCloseEndsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{TalkEvery: time.Second})
		time.Sleep(time.Minute)
		if len(n.Log()) < 20 {
			t.Error(len(n.Log()))
		}
		n.Close()
		before := len(n.Log())
		time.Sleep(time.Hour)
		if got := len(n.Log()); got != before {
			t.Errorf("%d things happened after the end", got-before)
		}
	})
}

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:1": true, "[::1]:80": true, "localhost:80": false, "0.0.0.0:80": false, "192.0.2.1:80": false, "127.0.0.1": false, "": false,
	} {
		if Loopback(addr) != want {
			t.Error(addr)
		}
	}
}
