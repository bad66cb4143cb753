package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/demo"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestFind(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	write := func(dir, name string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inBoth := write(first, "viaduct-both", 0o755)
	write(second, "viaduct-both", 0o755)
	inSecond := write(second, "viaduct-second", 0o700)
	plain := write(first, "viaduct-plain", 0o644)
	open := write(first, "viaduct-open", 0o757)
	if err := os.Mkdir(filepath.Join(first, "viaduct-dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	loose := t.TempDir()
	if err := os.Chmod(loose, 0o777); err != nil {
		t.Fatal(err)
	}
	inLoose := write(loose, "plugin", 0o755)
	for name, tc := range map[string]struct {
		plugin, path, problem string
	}{
		"the first folder counts":    {"both", inBoth, ""},
		"the second is looked at":    {"second", inSecond, ""},
		"a path is taken as it is":   {inSecond, inSecond, ""},
		"nowhere":                    {"absent", "", "plugin viaduct-absent: not found in " + first + " or " + second + "; put it there"},
		"no such path":               {first + "/absent", "", "there is no such file; check the path"},
		"not executable":             {"plain", "", "it is not executable; chmod +x " + plain},
		"not a file":                 {"dir", "", "it is not a file"},
		"everybody may change it":    {"open", "", "everybody may change it; chmod o-w " + open},
		"everybody may exchange it":  {inLoose, "", "everybody may change its folder; chmod o-w " + loose},
		"a path below a file":        {plain + "/x", "", "check the rights of its folders"},
		"a name with a line feed in": {"a\nb", "", "plugin viaduct-a b: not found"},
	} {
		t.Run(name, func(t *testing.T) {
			path, err := Find(tc.plugin, []string{first, "", second})
			if tc.problem == "" {
				if err != nil || path != tc.path {
					t.Fatal(path, err)
				}
				return
			}
			var p *Problem
			if !errors.As(err, &p) || !strings.Contains(err.Error(), tc.problem) || strings.Contains(err.Error(), "\n") {
				t.Fatal(err)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	dir := plugins(t, "demo", "exits")
	d, err := Describe(t.Context(), filepath.Join(dir, "viaduct-demo"))
	if err != nil || d.Info.Plugin != "demo" || !slices.Equal(d.Abilities, sdk.Abilities(demo.New(demo.Options{}))) {
		t.Fatal(d, err)
	}
	if problems := d.Info.Config.Check([]byte(`{"talk_evry": "1s"}`), nil); len(problems) != 1 || !strings.Contains(problems[0].String(), "unknown key") {
		t.Fatal(problems)
	}
	if _, err := Describe(t.Context(), filepath.Join(dir, "viaduct-exits")); err == nil || !strings.Contains(err.Error(), `exit status 3, saying "no such thing as a plugin"; is it a plugin of Viaduct?`) {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "other")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho '{\"Protocol\": 7, \"Info\": {\"Plugin\": \"x\"}}'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Describe(t.Context(), script); err == nil || !strings.Contains(err.Error(), "version 7 of the bridge protocol") {
		t.Fatal(err)
	}
}

func TestLeftover(t *testing.T) {
	dir := plugins(t, "silent")
	start := func() *exec.Cmd {
		cmd := exec.Command(filepath.Join(dir, "viaduct-silent"))
		ownGroup(cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	r := records{dir: t.TempDir()}
	if left, err := r.endLeftover(t.Context(), "one"); left != 0 || err != nil {
		t.Fatal(left, err)
	}
	// The plugin of an earlier server.
	sockets := filepath.Join(t.TempDir(), socketDirPrefix+"1")
	if err := os.Mkdir(sockets, 0o700); err != nil {
		t.Fatal(err)
	}
	old := start()
	if err := r.write("one", old.Process.Pid, sockets); err != nil {
		t.Fatal(err)
	}
	if left, err := r.endLeftover(t.Context(), "one"); left != old.Process.Pid || err != nil {
		t.Fatal(left, err)
	}
	if err := old.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatal(err)
	}
	if _, err := os.Stat(sockets); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if left, err := r.endLeftover(t.Context(), "one"); left != 0 || err != nil {
		t.Fatal(left, err)
	}
	// Another process that got its number is left alone.
	other := start()
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	born, err := birth(other.Process.Pid)
	if err != nil || born == "" {
		t.Fatal(born, err)
	}
	for name, text := range map[string]string{
		"another birth":   fmt.Sprintf(`{"PID": %d, "Birth": %q}`, other.Process.Pid, born+"0"),
		"no birth":        fmt.Sprintf(`{"PID": %d}`, other.Process.Pid),
		"half written":    fmt.Sprintf(`{"PID": %d, "Bir`, other.Process.Pid),
		"a foreign place": `{"PID": 1, "Birth": "x", "Dir": "/tmp"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(r.path("one"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if left, err := r.endLeftover(t.Context(), "one"); left != 0 || err != nil {
				t.Fatal(left, err)
			}
			if now, err := birth(other.Process.Pid); err != nil || now != born {
				t.Fatal("it was ended")
			}
		})
	}
}

// The server itself ends what an earlier one left.
func TestStartEndsALeftover(t *testing.T) {
	r := newRig(t, rigOptions{role: "demo", idle: true})
	cmd := exec.Command(filepath.Join(plugins(t, "silent"), "viaduct-silent"))
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := (records{filepath.Join(r.data, "plugins")}).write("one", cmd.Process.Pid, ""); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Stop(context.Background()) }()
	if err := cmd.Wait(); err == nil {
		t.Fatal("it ended by itself")
	}
	r.until(t, Running)
}
