// Command xmppload drives load against an XMPP server and prints one line of
// JSON per run. It knows nothing of any particular server: what it needs is
// an address, a domain, accounts and, for the figures of the server's own
// cost, the server's process ids. README.md beside this folder says how to run it and how to read what it prints.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Result is the one line that a scenario prints.
type Result struct {
	Scenario string             `json:"scenario"`
	Label    string             `json:"label"`
	Variant  string             `json:"variant,omitempty"`
	Time     string             `json:"time"`
	Params   map[string]any     `json:"params"`
	Fig      map[string]float64 `json:"fig"`
	Env      map[string]float64 `json:"env,omitempty"`
	Note     string             `json:"note,omitempty"`
}

func round3(v float64) float64 { return math.Round(v*1000) / 1000 }

func per(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

type scenario struct {
	help string
	run  func(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error)
}

func scenarios() map[string]scenario {
	return map[string]scenario{
		"register":    {"create the accounts over in-band registration (XEP-0077)", runRegister},
		"login":       {"full logins per second", runLogin},
		"chat":        {"one-to-one messages", runChat},
		"archive":     {"fill an archive and read it page by page", runArchive},
		"idle":        {"memory and CPU of idle sessions", runIdle},
		"muc":         {"group chat: join storm and messages", runMUC},
		"rostersetup": {"subscribe the users to each other", runRosterSetup},
		"presence":    {"login presence storm and status updates", runPresence},
		"killcheck":   {"kill the server under load; are the acknowledged messages in the archive?", runKillcheck},
		"fsync":       {"append and sync 4 KiB in a loop, without a server", runFsync},
		"limit":       {"the same load over a bare TLS relay", runLimit},
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: xmppload SCENARIO [flags]\n       xmppload report [FILE...]\n       xmppload dns [-listen ADDR] NAME=IP:PORT...\n\nscenarios:")
	all := scenarios()
	for _, n := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(os.Stderr, "  %-12s %s\n", n, all[n].help)
	}
	fmt.Fprintln(os.Stderr, "\nxmppload SCENARIO -h lists the flags of a scenario")
	os.Exit(2)
}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	name := os.Args[1]
	switch name {
	case "relay":
		fatal(runRelay(os.Args[2:]))
		return
	case "dns":
		fatal(runDNS(os.Args[2:]))
		return
	case "report":
		fatal(runReport(os.Args[2:]))
		return
	}
	sc, ok := scenarios()[name]
	if !ok {
		usage()
	}
	cfg := &Config{}
	fs := flag.NewFlagSet(name, flag.ExitOnError)
	fs.StringVar(&cfg.Addr, "addr", "127.0.0.1:5222", "address of the server, host:port")
	fs.StringVar(&cfg.Domain, "domain", "bench.test", "XMPP domain")
	fs.StringVar(&cfg.Prefix, "users", "u", "prefix of the user names; user 7 is PREFIX7")
	fs.IntVar(&cfg.First, "first", 0, "number of the first user")
	fs.StringVar(&cfg.Password, "password", "benchpass", "password of all users")
	fs.StringVar(&cfg.TLSMode, "tls", "starttls", "starttls, direct or none")
	fs.StringVar(&cfg.TLSVer, "tlsver", "1.3", "TLS version, 1.3 or 1.2")
	fs.StringVar(&cfg.Curve, "curve", "x25519", "key exchange: x25519, p256 or default")
	fs.StringVar(&cfg.Mech, "mech", "SCRAM-SHA-1", "SCRAM-SHA-1, SCRAM-SHA-256 or PLAIN")
	fs.StringVar(&cfg.Resource, "resource", "load", "resource to bind")
	fs.BoolVar(&cfg.SM, "sm", false, "enable stream management (XEP-0198) and acknowledge")
	fs.BoolVar(&cfg.Carbons, "carbons", false, "enable carbons (XEP-0280)")
	fs.BoolVar(&cfg.CSI, "csi", false, "send <inactive/> (XEP-0352) after initial presence")
	fs.BoolVar(&cfg.Roster, "roster", false, "fetch the roster at login")
	fs.IntVar(&cfg.Conc, "conc", 16, "concurrent logins, registrations or joins")
	fs.DurationVar(&cfg.Timeout, "timeout", 30*time.Second, "limit on one login")
	fs.StringVar(&cfg.Label, "label", "", "name of the server, for the report")
	fs.StringVar(&cfg.Variant, "variant", "", "what is special about this run, for the report")
	pids := fs.String("pid", "", "process ids of the server, comma separated; their children are included")
	keyfile := fs.String("keycache", "", "file that keeps salted passwords between runs")
	procs := fs.Int("procs", 0, "GOMAXPROCS of the generator; 0: all processors")
	began := time.Now()
	res, err := func() ([]*Result, error) {
		// Each scenario adds its flags and parses; ready runs after that.
		cfg.ready = func() error {
			if *procs > 0 {
				runtime.GOMAXPROCS(*procs)
			}
			for _, p := range strings.Split(*pids, ",") {
				if p = strings.TrimSpace(p); p == "" {
					continue
				}
				n, err := strconv.Atoi(p)
				if err != nil {
					return fmt.Errorf("bad -pid %q", p)
				}
				cfg.PIDs = append(cfg.PIDs, n)
			}
			cfg.keys = openKeyCache(*keyfile)
			return cfg.prepare()
		}
		return sc.run(cfg, fs, os.Args[2:])
	}()
	if cfg.keys != nil {
		if e := cfg.keys.save(); e != nil {
			fmt.Fprintln(os.Stderr, "xmppload: key cache:", e)
		}
	}
	for _, r := range res {
		if r.Scenario == "" {
			r.Scenario = name
		}
		if r.Label == "" {
			r.Label = cfg.Label
		}
		if cfg.Variant != "" {
			r.Variant = strings.TrimSpace(r.Variant + " " + cfg.Variant)
		}
		r.Time = began.UTC().Format(time.RFC3339)
		if r.Params == nil {
			r.Params = map[string]any{}
		}
		r.Params["tls"] = cfg.TLSMode
		r.Params["procs"] = runtime.GOMAXPROCS(0)
		if !cfg.Raw {
			r.Params["mech"] = cfg.Mech
		}
		b, e := json.Marshal(r)
		fatal(e)
		fmt.Println(string(b))
	}
	fatal(err)
}

func parse(cfg *Config, fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return cfg.ready()
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "xmppload:", err)
		os.Exit(1)
	}
}
