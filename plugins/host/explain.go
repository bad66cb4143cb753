package host

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"syscall"
)

var (
	versionError   = regexp.MustCompile(`(?is)incompatible API version with plugin\. Plugin version: (\d+)`)
	handshakeError = regexp.MustCompile(`(?s)Unrecognized remote plugin message: ([^\n]*)`)
)

// explain turns what went wrong at a launch into one line for a person.
func explain(path string, p *process, late bool, err error) error {
	what := "plugin " + path
	if late {
		return fmt.Errorf("%s: no handshake in time: %w", what, errHung)
	}
	if p := cannotStart(what, p.startError()); p != nil {
		return p
	}
	text := err.Error()
	if m := versionError.FindStringSubmatch(text); m != nil {
		return wrongVersion(what, m[1])
	}
	said := p.stderr.said()
	m := handshakeError.FindStringSubmatch(text)
	switch {
	case m != nil && strings.TrimSpace(m[1]) != "":
		return &Problem{
			What: what, Why: fmt.Sprintf("it printed %.80q instead of a handshake", m[1]), Do: "is it a plugin of Viaduct?", Err: err,
		}
	case m != nil, strings.Contains(text, "exited before we could connect"):
		why := "it ended before the handshake (" + p.exitText() + ")" + saying(said)
		return fmt.Errorf("%s: %s: %w", what, why, errExited)
	}
	return fmt.Errorf("%s: %w", what, errors.New(strings.Join(strings.Fields(text), " ")))
}

// saying adds the last words of a process, if it had any.
func saying(words string) string {
	if words == "" {
		return ""
	}
	return fmt.Sprintf(", saying %.200q", words)
}

// cannotStart is what only a person can mend about a file that the system does not run; nil for what may pass, such as a lack of memory.
func cannotStart(what string, err error) *Problem {
	for _, c := range []struct {
		is      error
		why, do string
	}{
		{syscall.ENOEXEC, "it is no program for this system (exec format error)", "install the one for this system and processor; a script begins with #!"},
		{fs.ErrNotExist, "the system does not find it, or the interpreter or loader that it names", "install that, or a plugin that was built for this system"},
		{fs.ErrPermission, "the system does not let it be run", "check its rights, and whether its file system is mounted with noexec"},
	} {
		if errors.Is(err, c.is) {
			return &Problem{What: what, Why: c.why, Do: c.do, Err: err}
		}
	}
	return nil
}

// Why an instance came to an end.
var (
	errExited = errors.New("the process ended")
	errHung   = errors.New("it hangs")
	errMemory = errors.New("it uses too much memory")
	errLost   = errors.New("the session broke")
)
