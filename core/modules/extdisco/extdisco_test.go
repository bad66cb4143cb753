package extdisco_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/turn/v5"
	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/extdisco"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func services() extdisco.Options {
	return extdisco.Options{Services: []extdisco.Service{
		{Host: "stun.example.org", Port: 9998, Type: "stun", Transport: "udp"},
		{Host: "relay.example.org", Port: 9999, Type: "turn", Transport: "udp", Secret: "made-up", TTL: time.Hour},
		{Host: "relay.example.org", Port: 9999, Type: "turn", Transport: "tcp", Secret: "made-up", TTL: time.Hour},
		{Port: 3478, Type: "turn", Transport: "udp", Own: true},
		{Host: "ftp.example.org", Port: 21, Type: "ftp", Transport: "tcp", Name: "Files", Username: "guest", Password: "guest"},
	}}
}

func some() modules.Options { return modules.Options{ExtDisco: services()} }

func TestScenarios(t *testing.T) {
	xmpptest.Play(t, "testdata/scenarios", func(o *xmpptest.Options, key, value string) error {
		if key+"="+value != "services=some" {
			return errors.New("unknown option")
		}
		o.Modules = some()
		return nil
	})
}

// The credentials are those that relays of other authors know, end when they say, and name nobody.
func TestCredentials(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{Modules: some()})
	ask := func(who string) (own, other string) {
		c := s.Login(t, who)
		list := c.Request("get", "example.org", "<services xmlns='"+ns.ExtDisco+"' type='turn'/>").Child(ns.ExtDisco, "services")
		for n := range list.Elements() {
			name := n.Attr("username")
			_, opaque, _ := strings.Cut(name, ":")
			if strings.Contains(opaque, "alice") || len(opaque) != 20 {
				t.Errorf("name %s", name)
			}
			at, err := time.Parse(time.RFC3339, n.Attr("expires"))
			if left := time.Until(at); err != nil || left <= 0 || left > 12*time.Hour || n.Attr("host") == "relay.example.org" && left > time.Hour {
				t.Errorf("%s expires %s", n, n.Attr("expires"))
			}
			secret := []byte("made-up")
			if n.Attr("host") == "example.org" {
				own = opaque
				if secret, err = s.DeriveKey(extdisco.RelayKey); err != nil {
					t.Fatal(err)
				}
			} else {
				other = opaque
			}
			_, key, ok := pion.LongTermTURNRESTAuthHandler(string(secret), nil)(&pion.RequestAttributes{Username: name, Realm: "example.org"})
			if !ok || string(key) != string(pion.GenerateAuthKey(name, "example.org", n.Attr("password"))) {
				t.Errorf("another implementation refuses %s", n)
			}
		}
		return own, other
	}
	first, also := ask("alice@example.org/a")
	second, _ := ask("alice@example.org/b")
	third, _ := ask("bob@example.org/a")
	if first == "" || first != also || first != second || first == third {
		t.Errorf("names %s %s %s %s", first, also, second, third)
	}
}
