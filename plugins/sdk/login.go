package sdk

import "time"

// LoginFlowInfo is a way to sign in.
type LoginFlowInfo struct {
	ID          string // "oauth", "token", "qr"
	Name        string
	Description string
}

// StartLoginRequest begins a login for a person.
type StartLoginRequest struct {
	Flow   string
	For    Sender
	Return string // URL a browser may be sent back to
}

// LoginStepKind says what a step wants.
type LoginStepKind int32

const (
	StepUnknown  LoginStepKind = 0
	StepForm     LoginStepKind = 1 // fill in Fields and call LoginStep
	StepOpenURL  LoginStepKind = 2 // open URL, then call LoginStep, which waits
	StepShowCode LoginStepKind = 3 // show Code (as text and QR), then call LoginStep, which waits
	StepDone     LoginStepKind = 4 // Login is there
)

// LoginField is one field of a form. Secrets are never logged or archived; a
// password of the network is never asked for.
type LoginField struct {
	Name     string
	Label    string
	Secret   bool
	Required bool
	Options  []string
	Default  string
}

// LoginStep is what comes next in a login.
type LoginStep struct {
	Process string // names this login until it is done
	Kind    LoginStepKind
	Text    string // instructions
	Fields  []LoginField
	URL     string
	Code    string
	Expires time.Time
	Login   *Login
}

// LoginInput answers a step.
type LoginInput struct {
	Process string
	Values  map[string]string
}

// Login is a person's own account. The server encrypts Credentials and hands
// them back with LoadLogin; nobody else ever reads them.
type Login struct {
	ID          LoginID
	Person      PersonID
	User        RemoteUserID
	Name        string
	Credentials []byte
}

// LoginState is how a login is doing.
type LoginState int32

const (
	LoginUnknown     LoginState = 0
	LoginConnecting  LoginState = 1
	LoginConnected   LoginState = 2
	LoginTrouble     LoginState = 3 // transient; the bridge tries on
	LoginBadSecret   LoginState = 4 // the person has to sign in again
	LoginLoggedOut   LoginState = 5 // ended, here or on the network's side
	LoginRateLimited LoginState = 6
)

// LoginStatus reports a login's state; ID "" is the bridge's own connection.
type LoginStatus struct {
	ID    LoginID
	State LoginState
	Code  Code
	Text  string // one line for the person, with what to do
	Since time.Time
	// Credentials replace the stored ones if not nil (a refreshed token).
	Credentials  []byte
	Capabilities *Capabilities
}
