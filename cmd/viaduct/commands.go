package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/httpd"
	"github.com/viaduct-xmpp/viaduct/internal/appliance"
)

// addCommands adds the administrative commands: "user add" becomes viaduct user add.
func (p *program) addCommands(root *cobra.Command) {
	groups := map[string]*cobra.Command{}
	for _, c := range appliance.Table() {
		parent, words := root, strings.Fields(c.Name)
		for i := range words[:len(words)-1] {
			name := strings.Join(words[:i+1], " ")
			if groups[name] == nil {
				groups[name] = &cobra.Command{Use: words[i], Short: appliance.GroupDoc(name), Args: cobra.ArbitraryArgs, RunE: group}
				parent.AddCommand(groups[name])
			}
			parent = groups[name]
		}
		parent.AddCommand(p.command(c, words[len(words)-1]))
	}
}

// group is run where the rest of a command's name is missing or wrong.
func group(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("there is no command %q; see %s --help", cmd.CommandPath()+" "+args[0], cmd.CommandPath())
	}
	return cmd.Help()
}

func (p *program) command(c *admin.Command, word string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   strings.TrimSpace(word + " " + c.Args),
		Short: c.Short,
		Long:  strings.TrimSpace(strings.ToUpper(c.Short[:1]) + c.Short[1:] + ".\n\n" + c.Long),
		Args:  func(_ *cobra.Command, args []string) error { return c.Check(&admin.Request{Args: args}) },
	}
	for _, f := range c.Flags {
		if f.Value == "" {
			cmd.Flags().Bool(f.Name, false, f.Doc)
			continue
		}
		cmd.Flags().String(f.Name, "", f.Doc+" ("+f.Value+")")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		call := admin.Call{Name: c.Name, Args: args, Flags: map[string]string{}}
		if err := p.flags(cmd, c, &call); err != nil {
			return err
		}
		if c.Name == "backup" { // the server has another working directory
			call.Args[0] = absolute(call.Args[0])
		}
		return p.run(cmd.Context(), c, call)
	}
	return cmd
}

// flags puts what was given into the call; a file of a secret is read here, so that the secret itself is never an argument.
func (p *program) flags(cmd *cobra.Command, c *admin.Command, call *admin.Call) error {
	for _, f := range c.Flags {
		flag := cmd.Flags().Lookup(f.Name)
		if !flag.Changed {
			continue
		}
		v := flag.Value.String()
		if f.Local {
			secret, err := p.readSecret(v)
			if err != nil {
				return fmt.Errorf("--%s: %w", f.Name, err)
			}
			v = secret
		}
		call.Flags[f.Name] = v
	}
	if _, given := call.Flags["password-file"]; !given && p.terminal() && hasFlag(c, "password-file") {
		pw, err := p.askPassword(call.Args[0])
		if err != nil {
			return err
		}
		if pw != "" {
			call.Flags["password-file"] = pw
		}
	}
	return nil
}

func hasFlag(c *admin.Command, name string) bool {
	for _, f := range c.Flags {
		if f.Name == name {
			return true
		}
	}
	return false
}

// readSecret reads the first line of a file, or of standard input.
func (p *program) readSecret(name string) (string, error) {
	in := p.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close() //nolint:errcheck // read only
		in = f
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("there is no password in it")
	}
	return line, nil
}

func (p *program) terminal() bool {
	f, ok := p.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// askPassword asks twice; nothing typed means that one is made.
func (p *program) askPassword(who string) (string, error) {
	fd := int(p.in.(*os.File).Fd())
	ask := func(prompt string) (string, error) {
		fmt.Fprint(p.err, prompt)
		b, err := term.ReadPassword(fd)
		fmt.Fprintln(p.err)
		return string(b), err
	}
	first, err := ask("Password of " + who + " (empty: one is made): ")
	if err != nil || first == "" {
		return "", err
	}
	again, err := ask("Once more: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

// run calls a command of the running server, or does it here while none runs.
func (p *program) run(ctx context.Context, c *admin.Command, call admin.Call) error {
	o, err := p.options()
	if err != nil {
		return err
	}
	bar := p.progress()
	res, err := admin.Send(ctx, httpd.UnixClient(filepath.Join(o.Config.DataDir, admin.SocketName)), call, bar)
	if err != nil && httpd.NotListening(err) {
		if !c.Stopped {
			return fmt.Errorf("%s works with a running server only, and none listens in %s; start it: %s serve", c.Name, absolute(o.Config.DataDir), p.self())
		}
		res, err = appliance.RunStopped(ctx, o, call, bar)
	}
	if err != nil {
		return err
	}
	return p.show(res)
}

// progress shows long work in one line of a terminal, and as plain lines elsewhere.
func (p *program) progress() func(admin.Progress) {
	f, ok := p.err.(*os.File)
	tty := ok && term.IsTerminal(int(f.Fd()))
	return func(g admin.Progress) {
		line := fmt.Sprintf("%s: %d", g.What, g.Done)
		if g.Total > 0 {
			line = fmt.Sprintf("%s: %d%%", g.What, min(100, g.Done*100/g.Total))
		}
		if tty {
			fmt.Fprintf(p.err, "\r\x1b[K%s", line)
			return
		}
		fmt.Fprintln(p.err, line)
	}
}

func (p *program) show(res admin.Result) error {
	var err error
	if p.json {
		enc := json.NewEncoder(p.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(res.Data)
	} else {
		err = res.WriteText(p.out)
	}
	if err == nil && res.Failed {
		return errFailed
	}
	return err
}
