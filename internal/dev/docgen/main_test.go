package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReferencesAreFresh(t *testing.T) {
	const top = "../../.."
	for _, o := range outputs {
		want, err := o.make(top)
		if err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(filepath.Join(top, o.file))
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != want {
			t.Errorf("%s is older than its source: run go generate ./internal/dev/docgen", o.file)
		}
	}
}
