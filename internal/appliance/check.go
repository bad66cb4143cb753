package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
)

// checkCommand is "check": every problem as one line, what, why and what to do; the exit status is 1 if there is any.
func checkCommand(o func() Options) *admin.Command {
	return &admin.Command{Name: "check", Args: "[config|tls|bridges]", Max: 1, Stopped: true, Short: "find what is wrong and say what to do",
		Run: func(ctx context.Context, r *admin.Request) (admin.Result, error) {
			area := ""
			if len(r.Args) > 0 {
				area = r.Args[0]
			}
			return Check(ctx, area, o())
		}}
}

// Check looks at an area, or at all of them ("").
func Check(ctx context.Context, area string, o Options) (admin.Result, error) {
	areas := map[string]func() []string{
		"config":  func() []string { return checkConfig(o.File, o.Env) },
		"tls":     func() []string { return checkTLS(ctx, o.Config, time.Now()) },
		"bridges": func() []string { return checkBridges(ctx, o) },
	}
	names := sorted(keys(areas))
	if area != "" {
		if areas[area] == nil {
			return admin.Result{}, admin.Usagef("%q cannot be checked; choose %s", area, strings.Join(names, " or "))
		}
		names = []string{area}
	}
	problems := []string{}
	for _, n := range names {
		problems = append(problems, areas[n]()...)
	}
	if len(problems) == 0 {
		return admin.Result{Data: problems, Text: "No problems (" + strings.Join(names, ", ") + ")."}, nil
	}
	return admin.Result{Data: problems, Text: strings.Join(problems, "\n"), Failed: true}, nil
}

func checkConfig(file string, env func(string) (string, bool)) []string {
	if file == "" {
		return nil
	}
	c, err := configs.Load(file, env)
	var p configs.Problems
	switch {
	case errors.As(err, &p):
		out := make([]string, len(p))
		for i, x := range p {
			out[i] = x.String()
		}
		return out
	case err != nil:
		return []string{err.Error()}
	}
	return c.Notes()
}

// checkTLS loads the certificate as the server does, without changing anything: a self-signed one is not made here.
func checkTLS(ctx context.Context, c *configs.Config, now time.Time) []string {
	if c.TLS.Cert == "" {
		return []string{fmt.Sprintf("tls: the certificate is self-signed, so clients ask whether to trust it; get one for %s and give tls.cert and tls.key, or have people import %s",
			strings.Join(c.Hosts(), ", "), filepath.Join(c.DataDir, "tls", "ca.crt"))}
	}
	store, err := tlscert.Open(ctx, tlscert.Options{Source: tlscert.Files{{CertFile: c.TLS.Cert, KeyFile: c.TLS.Key}}, Names: c.Hosts(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return []string{"tls: " + err.Error()}
	}
	var out []string
	if missing := store.Missing(c.Hosts()); len(missing) > 0 {
		out = append(out, fmt.Sprintf("tls: the certificate lacks %s; clients will not trust the server under these names; get a certificate that has them", strings.Join(missing, ", ")))
	}
	for _, st := range store.Status() {
		if left := st.NotAfter.Sub(now); left < 14*24*time.Hour {
			out = append(out, fmt.Sprintf("tls: the certificate of %s ends on %s; renew it", strings.Join(st.Names, ", "), st.NotAfter.Format(time.DateOnly)))
		}
	}
	return out
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
