package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckDataDir: what a first start would fail at is found before, and nothing is left behind.
func TestCheckDataDir(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ dir, want string }{
		"there":               {dir, ""},
		"to be made":          {filepath.Join(dir, "a", "b"), ""},
		"a file":              {file, "is a file and not a directory; choose another place"},
		"below a file":        {filepath.Join(file, "data"), "data_dir: "},
		"where nobody writes": {"/proc/viaduct", "does not exist and cannot be made, because nothing can be written in /proc"},
		"read only":           {"/proc", "nothing can be written in /proc"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(checkDataDir(tc.dir), "\n")
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) || strings.Contains(got, "\n") {
				t.Errorf("%q", got)
			}
		})
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
