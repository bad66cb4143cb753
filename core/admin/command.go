package admin

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Command is one administrative command.
type Command struct {
	Name  string // words separated by spaces: "user add"
	Args  string // as in a usage line: "JID", "REMOTE..."
	Min   int    // arguments at least
	Max   int    // arguments at most; -1: any number
	Short string // one line
	Long  string // what else there is to know
	Flags []Flag
	// Stopped tells that the command works without a running server, too.
	Stopped bool
	Run     func(ctx context.Context, r *Request) (Result, error)
}

// Flag is an option of a command.
type Flag struct {
	Name  string
	Value string // what it takes, in capitals ("FILE"); "" is a switch
	Doc   string
	// Local marks a flag that the command line reads a file for: its content goes into the call, so that no secret stands among the arguments.
	Local bool
}

// Request is a call of a command.
type Request struct {
	Args  []string
	Flags map[string]string
	// By is who asks: "local" through the socket, a bare JID otherwise.
	By string
	// Progress tells how far long work is; it may be called often.
	Progress func(done, total int64, what string)
}

// Flag returns the value of a flag, "" if it is not given.
func (r *Request) Flag(name string) string { return r.Flags[name] }

// Is tells whether a switch is given.
func (r *Request) Is(name string) bool { return r.Flags[name] == "true" }

// Result is what a command found out: Data for machines, and its form for people.
type Result struct {
	Data  any    `json:"data,omitempty"`
	Text  string `json:"text,omitempty"`  // lines for people; or
	Table *Table `json:"table,omitempty"` // columns
	// Failed makes the exit status 1 though the command itself worked: a check that found problems.
	Failed bool `json:"failed,omitempty"`
}

// Table is a listing.
type Table struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
	Empty   string     `json:"empty,omitempty"` // what is said instead of a table without rows
}

// Registry is the table of commands.
type Registry struct{ list []*Command }

// Add adds commands; two of one name are an error of the program.
func (reg *Registry) Add(cmds ...*Command) error {
	for _, c := range cmds {
		if reg.Get(c.Name) != nil {
			return fmt.Errorf("admin: the command %q exists already", c.Name)
		}
		reg.list = append(reg.list, c)
	}
	return nil
}

// Get returns a command by name, nil if there is none.
func (reg *Registry) Get(name string) *Command {
	i := slices.IndexFunc(reg.list, func(c *Command) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return reg.list[i]
}

// All returns the commands in the order in which they were added.
func (reg *Registry) All() []*Command { return slices.Clone(reg.list) }

// UsageError says that a command was called in the wrong way.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// Check checks the number of arguments and the names of the flags.
func (c *Command) Check(r *Request) error {
	switch {
	case len(r.Args) < c.Min:
		return Usagef("usage: viaduct %s", c.Usage())
	case c.Max >= 0 && len(r.Args) > c.Max:
		return Usagef("%q is one argument too many; usage: viaduct %s", r.Args[c.Max], c.Usage())
	}
	for name := range r.Flags {
		if !slices.ContainsFunc(c.Flags, func(f Flag) bool { return f.Name == name }) {
			return Usagef("unknown flag --%s; usage: viaduct %s", name, c.Usage())
		}
	}
	return nil
}

// Usage is the command's usage line without the program's name.
func (c *Command) Usage() string {
	parts := []string{c.Name}
	if c.Args != "" {
		parts = append(parts, c.Args)
	}
	for _, f := range c.Flags {
		s := "--" + f.Name
		if f.Value != "" {
			s += " " + f.Value
		}
		parts = append(parts, "["+s+"]")
	}
	return strings.Join(parts, " ")
}

// Execute runs a command of the table.
func (reg *Registry) Execute(ctx context.Context, name string, r *Request) (res Result, err error) {
	c := reg.Get(name)
	if c == nil {
		return Result{}, Usagef("unknown command %q", name)
	}
	if err := c.Check(r); err != nil {
		return Result{}, err
	}
	if r.Progress == nil {
		r.Progress = func(int64, int64, string) {}
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: internal error: %v", name, v)
		}
	}()
	return c.Run(ctx, r)
}

// WriteText writes the result for people.
func (res Result) WriteText(w io.Writer) error {
	if res.Table == nil {
		if res.Text == "" {
			return nil
		}
		// What other people wrote, such as the names of rooms elsewhere, moves no cursor here either.
		lines := strings.Split(strings.TrimRight(res.Text, "\n"), "\n")
		for i, line := range lines {
			lines[i] = visible(line)
		}
		_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
		return err
	}
	if len(res.Table.Rows) == 0 && res.Table.Empty != "" {
		_, err := fmt.Fprintln(w, res.Table.Empty)
		return err
	}
	return res.Table.write(w)
}
