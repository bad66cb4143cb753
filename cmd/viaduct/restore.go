package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
)

// restoreCommand works in this process only: the data directory must not be in use.
func (p *program) restoreCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "put a backup into the data directory of a stopped server",
		Long:  "Put a backup into the data directory of a stopped server. The backup is checked whole before anything is replaced;\nwhat was there is kept beside it.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.options()
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close() //nolint:errcheck // read only
			if err := sqlite.Restore(cmd.Context(), sqlite.RestoreOptions{Dir: o.Config.DataDir, From: f, Replace: yes}); err != nil {
				return fmt.Errorf("restore: %w", err)
			}
			return p.show(admin.Result{Data: map[string]string{"data_dir": absolute(o.Config.DataDir)},
				Text: absolute(o.Config.DataDir) + " has the state of the backup."})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "replace a database that is there; it is kept beside the new one")
	return cmd
}
