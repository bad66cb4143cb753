package grpcbridge

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestPluginLogIsWhatTheHostReads(t *testing.T) {
	var buf bytes.Buffer
	log := slog.New(NewPluginLog(&buf, slog.LevelInfo)).With("bridge", "acme")
	log.Debug("not this")
	log.Error("went wrong", "code", 7, "level", "mine", "time", 5, slog.Group("g", "level", "inner"), "long", strings.Repeat("é", maxLogValue))
	var m map[string]any
	if err := json.Unmarshal(buf.Bytes(), &m); err != nil {
		t.Fatalf("%s: %v", buf.Bytes(), err)
	}
	if m["@level"] != "error" || m["@message"] != "went wrong" || m["@timestamp"] == nil || m["bridge"] != "acme" || m["code"] != 7.0 {
		t.Error(m)
	}
	if g, ok := m["g"].(map[string]any); !ok || g["level"] != "inner" {
		t.Error(m["g"])
	}
	if n := buf.Len(); n > 2*maxLogValue {
		t.Errorf("a line of %d bytes", n)
	}
}

func TestHCLogBecomesSlog(t *testing.T) {
	var buf bytes.Buffer
	l := NewHCLog(slog.New(slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.LevelInfo})))
	l.Named("plugin").Named("matrix").With("bridge", "m").Warn("late", "timestamp", "x", "room", "r", "odd")
	l.Debug("not this")
	l.Trace("nor this")
	var m map[string]any
	if err := json.Unmarshal(buf.Bytes(), &m); err != nil {
		t.Fatalf("%s: %v", buf.Bytes(), err)
	}
	if m["level"] != "WARN" || m["msg"] != "late" || m["logger"] != "plugin.matrix" || m["bridge"] != "m" || m["room"] != "r" || m["timestamp"] != nil {
		t.Error(m)
	}
	if l.IsDebug() || l.IsTrace() || !l.IsInfo() || !l.IsWarn() || !l.IsError() || l.GetLevel() != hclog.Info {
		t.Error("levels")
	}
	buf.Reset()
	l.StandardLogger(nil).Print("from the standard logger")
	if !strings.Contains(buf.String(), "from the standard logger") {
		t.Error(buf.String())
	}
}

func TestLogLevel(t *testing.T) {
	for name, want := range map[string]slog.Level{"debug": slog.LevelDebug, "WARN": slog.LevelWarn, "": slog.LevelInfo, "loud": slog.LevelInfo} {
		if got := logLevel(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
