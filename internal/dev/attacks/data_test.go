package attacks

import (
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// sources calls fn for each file that programs are built of, with what it imports.
func sources(t *testing.T, fn func(name string, imports []string)) {
	t.Helper()
	files := 0
	for _, dir := range []string{"core", "bridges/gateway", "bridges/demo", "mappings", "plugins", "configs", "cmd", "internal/appliance"} {
		err := filepath.WalkDir(filepath.Join("..", "..", "..", dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			files++
			var imports []string
			for _, i := range f.Imports {
				imports = append(imports, strings.Trim(i.Path.Value, `"`))
			}
			fn(name, imports)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}

// TestRow31Injection: what a database could take for its own is a string like others, wherever it stands.
func TestRow31Injection(t *testing.T) {
	w := start(t, "registration: {open: true}\n"+off, "alice", "bob")
	alice, bob := w.online("alice", "a"), w.online("bob", "b")
	const room = "one@rooms." + Domain
	alice.enter(room, "Alice")
	alice.unlock(room)
	for i, s := range []string{"' OR '1'='1", "'; DROP TABLE accounts; --", "\" OR 1=1 --", "1) UNION SELECT * FROM accounts --", "%", "_", "*", "a:b", "$1", "?1", "@p", "\\", "x'00'"} {
		esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", "'", "&apos;").Replace(s)
		for _, rsm := range []string{"<after>" + esc + "</after>", "<before>" + esc + "</before>", "<index>" + esc + "</index>", "<max>" + esc + "</max>"} {
			if c, a := alice.ask("get", "rooms."+Domain, "<query xmlns='http://jabber.org/protocol/disco#items'><set xmlns='http://jabber.org/protocol/rsm'>"+rsm+"</set></query>"); c == "internal-server-error" {
				t.Errorf("%q in a page: %s", s, a)
			}
		}
		if c, a := alice.ask("get", room, "<query xmlns='http://jabber.org/protocol/disco#info' node='"+esc+"'/>"); c == "internal-server-error" {
			t.Errorf("%q as a node: %s", s, a)
		}
		if c, _ := alice.ask("set", "", "<query xmlns='jabber:iq:roster'><item jid='c"+fmt.Sprint(i)+"@elsewhere.test' name='"+esc+"'><group>"+esc+"</group></item></query>"); c != "" {
			t.Errorf("%q as a name: %s", s, c)
		}
		if c, _ := alice.ask("set", "", "<vCard xmlns='vcard-temp'><FN>"+esc+"</FN></vCard>"); c != "" {
			t.Errorf("%q in a vCard: %s", s, c)
		}
		if _, a := alice.ask("get", "", "<query xmlns='jabber:iq:roster'/>"); strings.Count(a, "<item ") != i+1 {
			t.Errorf("after %q the roster is %s", s, a)
		}
		if err := w.dial("tls").Auth("", s, password); err == nil {
			t.Errorf("%q is in", s)
		}
		if got := bob.meets(alice, "<message to='bob@v.test' type='chat' id='"+esc+"'><body>"+esc+"</body></message>"); !strings.Contains(strings.Join(got, ""), "<body>") {
			t.Errorf("%q as an id: %s", s, got)
		}
	}
	out, errs, code := w.Run(t, "user", "list")
	if code != 0 || !strings.Contains(out, "admin@v.test") || !strings.Contains(out, "bob@v.test") {
		t.Errorf("the accounts: %q %q", out, errs)
	}
}

// TestRow34Console: the listener for operators has the pages that it is said to have and no others, however a path is spelt; commands are on a socket
// that only its owner opens.
func TestRow34Console(t *testing.T) {
	w := start(t, "")
	get := func(method, path string) (int, http.Header, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.Admin+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.URL = &url.URL{Scheme: "http", Host: w.Admin, Opaque: path}
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(path, err)
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header, string(b)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		code, header, _ := get(http.MethodGet, path)
		if code != http.StatusOK || header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v", path, code, header)
		}
		if code, _, _ := get(http.MethodPost, path); code == http.StatusOK {
			t.Errorf("POST %s: %d", path, code)
		}
	}
	for _, path := range []string{"/", "/admin", "/api", "/api/v1/users", "/v1/user/list", "/command", "/user/list", "/setup/setup-s/../../log", "/metrics/../user/list", "/%2e%2e/etc/passwd",
		"/..%2f..%2fetc/passwd", "/%u002e%u002e/", "/debug/pprof/", "/debug/vars", "//etc/passwd", "/.git/config", "/static/../../viaduct.yaml", "/healthz/..;/admin"} {
		if code, _, body := get(http.MethodGet, path); code < 300 || code >= 500 || strings.Contains(body, "v.test") {
			t.Errorf("%s: %d %.200s", path, code, body)
		}
	}
	for name, most := range map[string]os.FileMode{"data": 0o700, "data/admin.sock": 0o600} {
		info, err := os.Stat(filepath.Join(w.Site.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&^most != 0 {
			t.Errorf("%s has the mode %o", name, mode)
		}
	}
}

// TestRow36Registration: off unless it is asked for; a name that many want at once is given once; one address makes a few accounts and no more.
func TestRow36Registration(t *testing.T) {
	form := func(user, pass string) string {
		return "<query xmlns='jabber:iq:register'><username>" + user + "</username><password>" + pass + "</password></query>"
	}
	closed := start(t, off)
	p := closed.at("before login")
	if n, err := p.Ask("set", "", form("new", password)); err != nil || Condition(n) != "service-unavailable" {
		t.Errorf("where registration is off: %s, %v", n, err)
	}
	if _, _, code := closed.Run(t, "user", "show", "new@v.test"); code == 0 {
		t.Error("an account was made where registration is off")
	}

	w := start(t, "registration: {open: true}\n"+off)
	var wg sync.WaitGroup
	var made atomic.Int32
	winner := make(chan string, 20)
	for i := range 20 {
		p := w.at("before login")
		wg.Go(func() {
			pass := fmt.Sprintf("password number %d", i)
			n, err := p.Ask("set", "", form("wanted", pass))
			if err != nil {
				t.Error(err)
				return
			}
			switch c := Condition(n); c {
			case "":
				made.Add(1)
				winner <- pass
			case "conflict":
			default:
				t.Errorf("the name is refused with %s", c)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Fatalf("the name was given %d times", made.Load())
	}
	if err := w.dial("tls").Auth("", "wanted", <-winner); err != nil {
		t.Errorf("who got the name: %v", err)
	}

	limited := start(t, "registration: {open: true}\n").at("before login")
	given := 0
	for i := range 10 {
		if c, _ := limited.ask("set", "", form(fmt.Sprint("many", i), password)); c == "" {
			given++
		} else if c != "resource-constraint" {
			t.Errorf("account %d: %s", i, c)
		}
	}
	if given != 3 {
		t.Errorf("one address made %d accounts", given)
	}
}

// TestRow40NoImageDecoder: pictures pass through as bytes with a bound; a program of the server links no decoder that a bomb could be made for.
func TestRow40NoImageDecoder(t *testing.T) {
	sources(t, func(name string, imports []string) {
		for _, i := range imports {
			if strings.Contains(name, "bridges/demo") { // it only draws
				continue
			}
			if i == "image" || strings.HasPrefix(i, "image/") || strings.HasPrefix(i, "golang.org/x/image") {
				t.Errorf("%s imports %s: give the row a test of its own that decodes a bomb", name, i)
			}
		}
	})
	w := start(t, off, "alice")
	alice := w.online("alice", "a")
	if c, _ := alice.ask("set", "", "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>"+strings.Repeat("A", 200<<10)+"</BINVAL></PHOTO></vCard>"); c != "not-acceptable" {
		t.Errorf("a picture of 150 KiB: %q", c)
	}
}
