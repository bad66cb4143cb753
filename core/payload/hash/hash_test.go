package hash_test

import (
	"errors"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func parse(t *testing.T, s string) (hash.Caps, error) {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte("<query xmlns='http://jabber.org/protocol/disco#info'>" + s + "</query>"))
	if err != nil {
		t.Fatal(err)
	}
	return hash.Parse(f.At(0).Node())
}

// The examples of XEP-0115 §5.2 and §5.3.
func TestVer(t *testing.T) {
	const features = "<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>" +
		"<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>"
	const form = "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>" +
		"<field var='ip_version' type='text-multi' ><value>ipv4</value><value>ipv6</value></field><field var='os'><value>Mac</value></field>" +
		"<field var='os_version'><value>10.5.1</value></field><field var='software'><value>Psi</value></field><field var='software_version'><value>0.11</value></field></x>"
	for name, c := range map[string]struct{ xml, want string }{
		"simple": {"<identity category='client' name='Exodus 0.9.1' type='pc'/>" + features, "QgayPKawpkPSDYmwT/WM94uAlu0="},
		"complex": {"<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/><identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>" +
			features + form, "q07IKJEyjvHSyhy//CH0CxmKi8w="},
		"form without a type": {"<identity category='client' name='Exodus 0.9.1' type='pc'/>" + features +
			"<x xmlns='jabber:x:data'><field var='a'><value>b</value></field></x>", "QgayPKawpkPSDYmwT/WM94uAlu0="},
	} {
		caps, err := parse(t, c.xml)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := caps.Ver(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// XEP-0115 §5.4: what nobody may cache.
func TestIllFormed(t *testing.T) {
	for name, xml := range map[string]string{
		"identity twice": "<identity category='a' type='b'/><identity category='a' type='b'/>",
		"feature twice":  "<feature var='a'/><feature var='a'/>",
		"form twice": "<x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>a</value></field></x>" +
			"<x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>a</value></field></x>",
		"two types": "<x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>a</value><value>b</value></field></x>",
	} {
		if _, err := parse(t, xml); !errors.Is(err, hash.ErrIllFormed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAvatar(t *testing.T) {
	if got, want := hash.Avatar([]byte("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
