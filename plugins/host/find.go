package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
)

// Problem is something wrong with a plugin that a person has to mend: what, why,
// what to do, in one line.
type Problem struct {
	What, Why, Do string
	Err           error
}

// Error implements error.
func (p *Problem) Error() string {
	s := p.What + ": " + p.Why
	if p.Do != "" {
		s += "; " + p.Do
	}
	return strings.Join(strings.Fields(s), " ")
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Find gives the file of a plugin: a path as it is, a name as viaduct-NAME in the
// first of the directories that has it; and checks it.
func Find(plugin string, dirs []string) (string, error) {
	if strings.ContainsRune(plugin, filepath.Separator) {
		return plugin, checkFile(plugin)
	}
	name := "viaduct-" + plugin
	var looked []string
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return path, checkFile(path)
		}
		looked = append(looked, dir)
	}
	return "", &Problem{
		What: "plugin " + name, Why: "not found in " + strings.Join(looked, " or "),
		Do: "put it there (`make build` makes those of Viaduct), or give its path as plugin:", Err: fs.ErrNotExist,
	}
}

// checkFile refuses what must not or cannot be run.
func checkFile(path string) error {
	what := "plugin " + path
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Problem{What: what, Why: "there is no such file", Do: "check the path", Err: err}
	case err != nil:
		return &Problem{What: what, Why: err.Error(), Do: "check the rights of its folders", Err: err}
	case !info.Mode().IsRegular():
		return &Problem{What: what, Why: "it is not a file", Do: "give the path of the program itself"}
	case info.Mode().Perm()&0o111 == 0:
		return &Problem{What: what, Why: "it is not executable", Do: "chmod +x " + path, Err: fs.ErrPermission}
	case info.Mode().Perm()&0o002 != 0:
		return &Problem{What: what, Why: "everybody may change it", Do: "chmod o-w " + path, Err: fs.ErrPermission}
	}
	if uid, known := ownerOf(info); known && uid != 0 && uid != os.Geteuid() {
		return &Problem{
			What: what, Why: fmt.Sprintf("it belongs to user %d, neither root nor the user of the server", uid),
			Do: fmt.Sprintf("chown %d %s", os.Geteuid(), path), Err: fs.ErrPermission,
		}
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err == nil && dir.Mode().Perm()&0o002 != 0 && dir.Mode()&fs.ModeSticky == 0 {
		return &Problem{What: what, Why: "everybody may change its folder", Do: "chmod o-w " + filepath.Dir(path), Err: fs.ErrPermission}
	}
	return nil
}

// Description is what a plugin prints of itself.
type Description = grpcbridge.Description

// describeTimeout and describeBytes bound what a plugin may say of itself.
const (
	describeTimeout = 10 * time.Second
	describeBytes   = 1 << 20
	describeLines   = 200 // of standard error in a second
)

// Describe asks a plugin what it is, without starting the bridge: its schema
// is what `config:` is checked against.
func Describe(ctx context.Context, path string) (Description, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	what := "plugin " + path
	cmd := exec.CommandContext(ctx, path, "info")
	cmd.Env = environment()
	cmd.WaitDelay = time.Second
	out := &cutBuffer{left: describeBytes}
	cmd.Stdout = out
	last := newLineGate(describeLines)
	go func() { _, _ = io.Copy(io.Discard, last.read) }() // ends with last.close
	cmd.Stderr = last
	err := cmd.Run()
	last.close()
	if p := cannotStart(what, err); cmd.ProcessState == nil && p != nil {
		return Description{}, p
	}
	if err != nil {
		why := err.Error() + saying(last.tail())
		if ctx.Err() != nil {
			why = "it did not say what it is within " + describeTimeout.String() + saying(last.tail())
		}
		return Description{}, &Problem{What: what, Why: why, Do: "is it a plugin of Viaduct?", Err: err}
	}
	var d Description
	if err := json.Unmarshal(out.Bytes(), &d); err != nil || d.Info.Plugin == "" {
		return Description{}, &Problem{What: what, Why: "it does not say what it is", Do: "is it a plugin of Viaduct?", Err: err}
	}
	if d.Protocol != grpcbridge.ProtocolVersion {
		return Description{}, wrongVersion(what, fmt.Sprint(d.Protocol))
	}
	return d, nil
}

func wrongVersion(what, theirs string) error {
	return &Problem{
		What: what, Why: fmt.Sprintf("it speaks version %s of the bridge protocol, this server version %d", theirs, grpcbridge.ProtocolVersion),
		Do: "install the plugin that belongs to this server",
	}
}

// cutBuffer keeps the first bytes that are written to it.
type cutBuffer struct {
	bytes.Buffer
	left int
}

func (b *cutBuffer) Write(p []byte) (int, error) {
	keep := p[:min(len(p), b.left)]
	b.left -= len(keep)
	b.Buffer.Write(keep)
	return len(p), nil
}
