package host

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
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
		why := "it ended before the handshake (" + p.exitText() + ")"
		if said != "" {
			why += fmt.Sprintf(", saying %.200q", said)
		}
		return fmt.Errorf("%s: %s: %w", what, why, errExited)
	}
	return fmt.Errorf("%s: %w", what, errors.New(strings.Join(strings.Fields(text), " ")))
}

// Why an instance came to an end.
var (
	errExited = errors.New("the process ended")
	errHung   = errors.New("it hangs")
	errMemory = errors.New("it uses too much memory")
	errLost   = errors.New("the session broke")
)
