package host

import (
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// State is how a bridge's plugin is doing.
type State string

// The states.
const (
	Starting State = "starting"
	Running  State = "running"
	Waiting  State = "waiting" // failed; started again at NextTry
	Broken   State = "broken"  // failed too often or for good; tried again at NextTry
	Paused   State = "paused"
	Stopped  State = "stopped"
)

// Status is what `bridge status` shows of a plugin.
type Status struct {
	Bridge   string
	Plugin   string // as configured
	Path     string // of the program, once found
	Version  string // as the plugin says
	State    State
	Reason   string // one line: why it is not running, or what is wrong
	Since    time.Time
	NextTry  time.Time // of Waiting and Broken
	PID      int
	Memory   int64 // resident bytes at the last look
	Starts   int   // since the server started
	Failures int   // since the server started
}

// StateError says that a bridge's plugin is not there.
type StateError struct{ Status Status }

// Error implements error.
func (e *StateError) Error() string {
	if e.Status.Reason == "" {
		return fmt.Sprintf("bridge %s is %s", e.Status.Bridge, e.Status.State)
	}
	return fmt.Sprintf("bridge %s is %s: %s", e.Status.Bridge, e.Status.State, e.Status.Reason)
}

// Unwrap makes it temporary for the contract: the plugin may come back.
func (e *StateError) Unwrap() error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "the bridge is away"}
}
