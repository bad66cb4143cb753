package sdk

// CheckStatus is how a check came out.
type CheckStatus int32

const (
	CheckUnknown CheckStatus = 0
	CheckOK      CheckStatus = 1
	CheckWarning CheckStatus = 2 // works, with something lost
	CheckFailed  CheckStatus = 3
)

// Check is one line of a report: what was looked at, what was found, what to do.
type Check struct {
	Name   string // "token", "scope chat:write.customize", "public_url"
	Status CheckStatus
	Found  string
	Fix    string // what to do; "" if nothing
}

// Report is the result of Test.
type Report struct {
	Checks []Check
}

// Failed reports whether any check failed.
func (r Report) Failed() bool {
	for _, c := range r.Checks {
		if c.Status == CheckFailed {
			return true
		}
	}
	return false
}

// SetupRequest asks what has to be done on the network's side.
type SetupRequest struct {
	Name      string // the bridge's name in the configuration
	Domain    string
	PublicURL string
	JSON      []byte            // the `config:` subtree as far as there is one, or nil
	Answers   map[string]string // values for SetupPlan.Questions
}

// SetupPlan is files to write, lines to put into the configuration and things
// for a person to do, in order.
type SetupPlan struct {
	Files     []SetupFile
	Config    []SetupValue
	Steps     []string
	Questions []LoginField // missing values: ask and call Setup again
}

// SetupFile is a file to be written beside the configuration.
type SetupFile struct {
	Name    string // no directories
	Content []byte
	Secret  bool // mode 0600
}

// SetupValue is a key for the bridge's `config:`.
type SetupValue struct {
	Key   string
	Value string
	Doc   string
}
