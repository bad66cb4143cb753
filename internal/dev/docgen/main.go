// Command docgen writes the references that are generated: docs/config.md from the structs of the configuration and the comments above their
// fields, docs/admin.md from the table of commands, docs/xeps.md and docs/doap.xml from what the modules say and the scenarios that ran. A test
// fails when a file is older than its source.
//
//	go generate ./internal/dev/docgen
package main

//go:generate go run . ../../..

import (
	"fmt"
	"os"
	"path/filepath"
)

// outputs are the generated files, relative to the top of the tree.
var outputs = []struct {
	file string
	make func(top string) (string, error)
}{
	{"docs/config.md", configReference},
	{"docs/admin.md", adminReference},
	{"docs/xeps.md", xepsReference},
	{"docs/doap.xml", doap},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: docgen TOP-OF-THE-TREE")
		os.Exit(2)
	}
	// What the reference lists has run.
	if err := playAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "docgen:", err)
		os.Exit(1)
	}
	for _, o := range outputs {
		text, err := o.make(os.Args[1])
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], o.file), []byte(text), 0o644) //nolint:gosec // documentation is for everybody
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "docgen:", err)
			os.Exit(1)
		}
	}
}
