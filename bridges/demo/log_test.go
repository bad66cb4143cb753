package demo

import (
	"context"
	"log/slog"
)

// addressLog passes on the address that the control socket got.
type addressLog struct{ to chan string }

func (addressLog) Enabled(context.Context, slog.Level) bool { return true }

func (l addressLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "address" {
			l.to <- a.Value.String()
		}
		return true
	})
	return nil
}

func (l addressLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l addressLog) WithGroup(string) slog.Handler      { return l }
