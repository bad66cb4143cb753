package main

import (
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

// TestNodeCommands: nodes of publish-subscribe are administered in a running server.
func TestNodeCommands(t *testing.T) {
	r := programtest.Place(t, bin, "").Serve(t)
	for _, step := range []struct{ args, out, err string }{
		{args: "node list pubsub.v.test", out: "There are no nodes."},
		{args: "node list elsewhere.test", err: "has no nodes"},
		{args: "node list not/an@address", err: "is not the address of a service"},
		{args: "node show pubsub.v.test nothing", err: "there is no such node"},
		{args: "node delete pubsub.v.test nothing", err: "say --yes"},
		{args: "node delete pubsub.v.test nothing --yes", err: "there is no such node"},
		{args: "node purge admin@v.test --all --yes", out: "0 nodes of admin@v.test were purged."},
		{args: "node purge admin@v.test", err: "name nodes, or say"},
	} {
		out, errs, code := r.Run(t, strings.Fields(step.args)...)
		if step.err != "" && (code != 1 || !strings.Contains(errs, step.err)) || step.out != "" && (code != 0 || !strings.Contains(out, step.out)) {
			t.Errorf("%s: status %d, output %q, error %q", step.args, code, out, errs)
		}
	}
}
