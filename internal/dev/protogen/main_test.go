package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	if err := run(t.Context(), "../../..", true); err != nil {
		t.Fatal(err)
	}
}

func TestPlace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.pb.go")
	for _, step := range []struct {
		what, content string
		check         bool
		want          int
	}{
		{"missing, check only", "a", true, 1},
		{"written", "a", false, 1},
		{"unchanged", "a", true, 0},
		{"differs, check only", "b", true, 1},
	} {
		got, err := place(name, []byte(step.content), step.check)
		if err != nil || got != step.want {
			t.Fatalf("%s: %d, %v; want %d", step.what, got, err, step.want)
		}
	}
	if b, _ := os.ReadFile(name); string(b) != "a" {
		t.Fatalf("check wrote: %q", b)
	}
}

func TestCompileNamesTheError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.proto"), []byte("syntax = \"proto3\";\nmessage X { Y y = 1; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := compile(t.Context(), dir)
	if err == nil || !strings.Contains(err.Error(), "bad.proto:2") {
		t.Fatalf("error %v does not name the line", err)
	}
}
