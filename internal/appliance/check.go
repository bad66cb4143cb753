package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
)

// checkCommand is "check": every problem as one line, what, why and what to do; the exit status is 1 if there is any.
//
// running, if there is a server, says what is wrong with the bridges that it runs.
func checkCommand(o func() Options, running func() []string) *admin.Command {
	return &admin.Command{Name: "check", Args: "[config|tls|bridges]", Max: 1, Stopped: true, Short: "find what is wrong and say what to do",
		Run: func(ctx context.Context, r *admin.Request) (admin.Result, error) {
			area := ""
			if len(r.Args) > 0 {
				area = r.Args[0]
			}
			return Check(ctx, area, o(), running)
		}}
}

// Check looks at an area, or at all of them (""). running may be nil.
func Check(ctx context.Context, area string, o Options, running func() []string) (admin.Result, error) {
	areas := map[string]func() []string{
		"config": func() []string { return append(checkConfig(o.File, o.Env), checkDataDir(o.Config.DataDir)...) },
		"tls":    func() []string { return checkTLS(ctx, o.Config, time.Now()) },
		"bridges": func() []string {
			out := checkBridges(ctx, o)
			if len(out) == 0 && running != nil { // else it says the same twice
				out = running()
			}
			return out
		},
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

// checkDataDir tries whether files can be made where the data are to lie, without making the directory itself.
func checkDataDir(dir string) []string {
	at := dir
	info, err := os.Stat(at)
	for errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) { // it is made at the first start, with what is missing above it
		at = filepath.Dir(at)
		info, err = os.Stat(at)
	}
	switch {
	case err != nil:
		return []string{fmt.Sprintf("data_dir: %s cannot be looked at (%v); give it to the user of the server or choose another one", at, err)}
	case !info.IsDir():
		return []string{fmt.Sprintf("data_dir: %s is a file and not a directory; choose another place", at)}
	}
	f, err := os.CreateTemp(at, ".viaduct-check-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	switch {
	case err == nil:
		return nil
	case at != dir:
		return []string{fmt.Sprintf("data_dir: %s does not exist and cannot be made, because nothing can be written in %s (%v); make it and give it to the user of the server, or choose another one", dir, at, err)}
	}
	return []string{fmt.Sprintf("data_dir: nothing can be written in %s (%v); give it to the user of the server or choose another one", dir, err)}
}

// checkTLS loads the certificate as the server does, without changing anything: a self-signed one is not made here.
func checkTLS(ctx context.Context, c *configs.Config, now time.Time) []string {
	if c.TLS.Cert == "" {
		return []string{fmt.Sprintf("tls: the certificate is self-signed, so clients ask whether to trust it; get one for %s and give tls.cert and tls.key, or have people import %s",
			strings.Join(c.CertificateNames(), ", "), filepath.Join(c.DataDir, "tls", "ca.crt"))}
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
