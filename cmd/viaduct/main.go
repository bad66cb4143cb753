// Command viaduct is the server and its whole command line.
//
// It holds no logic of the server: serve runs internal/appliance, the administrative commands go through the table of core/admin, by the admin socket of
// the running server or in this process while none runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/internal/appliance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.LookupEnv}
	if err := app.root().ExecuteContext(ctx); err != nil {
		app.complain(err)
		os.Exit(1) //nolint:gocritic // the deferred stop only restores the signals' handlers
	}
}

// program is one run of the command line.
type program struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) (string, bool)

	configFile string
	json       bool
}

// errFailed makes the exit status 1 without another word: a check that found problems has said them.
var errFailed = errors.New("failed")

// complain writes an error to standard error, in one line; several problems of a configuration are a line each.
func (p *program) complain(err error) {
	var probs configs.Problems
	switch {
	case errors.Is(err, errFailed):
	case errors.As(err, &probs):
		fmt.Fprintln(p.err, probs.Error())
	default:
		fmt.Fprintln(p.err, "viaduct: "+oneLine(admin.PlainText(err.Error())))
	}
}

// oneLine puts the lines of a text behind each other; a line that ends with a question or colon goes on with the next.
func oneLine(text string) string {
	var b strings.Builder
	for l := range strings.SplitSeq(text, "\n") {
		l = strings.TrimSpace(l)
		switch before := b.String(); {
		case l == "":
			continue
		case before == "":
		case strings.HasSuffix(before, "?"), strings.HasSuffix(before, ":"):
			b.WriteByte(' ')
		default:
			b.WriteString("; ")
		}
		b.WriteString(l)
	}
	return b.String()
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "viaduct",
		Short:         "An XMPP server with bridges to other chat networks",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.PersistentFlags().StringVar(&p.configFile, "config", "", "configuration file (default ./viaduct.yaml, then /etc/viaduct/viaduct.yaml, then built-in defaults)")
	root.PersistentFlags().BoolVar(&p.json, "json", false, "machine-readable output")
	root.AddCommand(p.serveCommand(), p.quickstartCommand(), p.restoreCommand())
	p.addCommands(root)
	return root
}

// systemConfig is where a packaged server has its configuration.
const systemConfig = "/etc/viaduct/viaduct.yaml"

// options loads the configuration: --config, ./viaduct.yaml, the system's file, or the embedded defaults.
func (p *program) options() (appliance.Options, error) {
	o := appliance.Options{Env: p.env}
	file := p.configFile
	for _, candidate := range []string{"viaduct.yaml", systemConfig} {
		if file != "" {
			break
		}
		if _, err := os.Stat(candidate); err == nil {
			file = candidate
		}
	}
	if file == "" {
		o.Config = configs.Default()
		return o, nil
	}
	c, err := configs.Load(file, p.env)
	o.Config, o.File = c, file
	return o, err
}
