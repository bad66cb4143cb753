package appliance

import (
	"maps"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	stamped := &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "v0.9.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	plain := &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "(devel)"}}
	for _, tc := range []struct {
		name        string
		info        *debug.BuildInfo
		commit, tag string
		want        map[string]string
	}{
		{"nothing known", nil, "", "", map[string]string{"version": "devel", "commit": "", "go": ""}},
		{"plain go build", plain, "", "", map[string]string{"version": "devel", "commit": "", "go": "go1.26"}},
		{"make build", plain, "fedcba987654", "", map[string]string{"version": "devel", "commit": "fedcba987654", "go": "go1.26"}},
		{"make build of a tag", plain, "fedcba987654", "v1.0.0", map[string]string{"version": "v1.0.0", "commit": "fedcba987654", "go": "go1.26"}},
		{"Go's stamp", stamped, "", "", map[string]string{"version": "v0.9.0", "commit": "0123456789ab+changes", "go": "go1.26", "built": "2026-01-02T03:04:05Z"}},
		{"both", stamped, "fedcba987654", "v1.0.0", map[string]string{"version": "v1.0.0", "commit": "fedcba987654", "go": "go1.26", "built": "2026-01-02T03:04:05Z"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := describe(tc.info, tc.commit, tc.tag); !maps.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// TestMakeStamps: `make build` tells the linker the commit; outside a repository it builds all the same.
func TestMakeStamps(t *testing.T) {
	makeBuild := func(env ...string) string {
		cmd := exec.CommandContext(t.Context(), "make", "-n", "build")
		cmd.Dir = "../.."
		cmd.Env = append(cmd.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Skipf("make -n build: %v: %s", err, out)
		}
		return string(out)
	}
	head, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		t.Skip("git knows no commit here")
	}
	if got, want := makeBuild(), "-X github.com/viaduct-xmpp/viaduct/internal/appliance.commit="+strings.TrimSpace(string(head)); !strings.Contains(got, want) {
		t.Errorf("no %q in %s", want, got)
	}
	if got := makeBuild("GIT_DIR=/nowhere"); strings.Contains(got, "-X") || !strings.Contains(got, "build") {
		t.Errorf("outside a repository: %s", got)
	}
}
