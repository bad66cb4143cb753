package hash_test

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
)

// The simple example of XEP-0390 §4.5.1.
const simple2 = `<identity category="client" name="BombusMod" type="mobile"/>
<feature var="http://jabber.org/protocol/si"/><feature var="http://jabber.org/protocol/bytestreams"/><feature var="http://jabber.org/protocol/chatstates"/>
<feature var="http://jabber.org/protocol/disco#info"/><feature var="http://jabber.org/protocol/disco#items"/><feature var="urn:xmpp:ping"/>
<feature var="jabber:iq:time"/><feature var="jabber:iq:privacy"/><feature var="jabber:iq:version"/><feature var="http://jabber.org/protocol/rosterx"/>
<feature var="urn:xmpp:time"/><feature var="jabber:x:oob"/><feature var="http://jabber.org/protocol/ibb"/>
<feature var="http://jabber.org/protocol/si/profile/file-transfer"/><feature var="urn:xmpp:receipts"/><feature var="jabber:iq:roster"/><feature var="jabber:iq:last"/>`

func TestHash2(t *testing.T) {
	c, err := parse(t, simple2)
	if err != nil {
		t.Fatal(err)
	}
	for algo, want := range map[string]string{
		"sha-256":  "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=",
		"sha3-256": "79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q=",
	} {
		if got, ok := c.Hash2(algo); !ok || got != want {
			t.Errorf("%s: %s, %t; want %s", algo, got, ok, want)
		}
	}
	for _, algo := range []string{"sha-1", "md5", ""} {
		if _, ok := c.Hash2(algo); ok {
			t.Errorf("%s: accepted", algo)
		}
	}
}

// XEP-0390 §4.1, steps 2 and 3.
func TestHash2Refuses(t *testing.T) {
	for name, form := range map[string]string{
		"without a type": "<field var='a'><value>b</value></field>",
		"with a table":   "<field var='FORM_TYPE' type='hidden'><value>a</value></field><reported><field var='b'/></reported>",
		"with an item":   "<field var='FORM_TYPE' type='hidden'><value>a</value></field><item><field var='b'/></item>",
	} {
		c, err := parse(t, "<x xmlns='jabber:x:data' type='result'>"+form+"</x>")
		if err != nil {
			t.Fatal(name, err)
		}
		if _, ok := c.Hash2("sha-256"); ok {
			t.Errorf("a form %s has a hash", name)
		}
	}
}

// Forms count, and the order of what is said does not.
func TestHash2IsOfTheContent(t *testing.T) {
	const form = "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>t</value></field><field var='a'><value>1</value><value>2</value></field></x>"
	hash2 := func(s string) string {
		c, err := parse(t, s)
		if err != nil {
			t.Fatal(err)
		}
		sum, ok := c.Hash2("sha-256")
		if !ok {
			t.Fatal("no hash of", s)
		}
		return sum
	}
	a := hash2("<feature var='x'/><feature var='y'/>" + form)
	if b := hash2("<feature var='y'/>" + form + "<feature var='x'/>"); a != b {
		t.Error("the order of the elements counts")
	}
	if b := hash2("<feature var='x'/><feature var='y'/>"); a == b {
		t.Error("a form does not count")
	}
}

func TestVerOf(t *testing.T) {
	c, err := parse(t, simple2)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := c.VerOf("sha-1"); !ok || got != c.Ver() {
		t.Errorf("sha-1: %s, %t; want %s", got, ok, c.Ver())
	}
	if got, ok := c.VerOf("sha-256"); !ok || got == c.Ver() {
		t.Errorf("sha-256: %s, %t", got, ok)
	}
	if _, ok := c.VerOf("nonsense"); ok {
		t.Error("an unknown algorithm was accepted")
	}
}

// XEP-0115 §7.1: two answers with the same input; both are told to be ambiguous.
func TestAmbiguous(t *testing.T) {
	honest := hash.Caps{Identities: []hash.Identity{{Category: "client", Type: "pc", Name: "A"}}, Features: []string{"b", "c"}}
	forged := hash.Caps{Identities: honest.Identities, Features: []string{"b<c"}}
	if honest.Ver() != forged.Ver() {
		t.Fatal("the example is none")
	}
	if honest.Ambiguous() || !forged.Ambiguous() {
		t.Errorf("honest %t, forged %t", honest.Ambiguous(), forged.Ambiguous())
	}
	for _, c := range []hash.Caps{
		{Identities: []hash.Identity{{Category: "client", Type: "pc", Name: "A<b"}}},
		{Identities: []hash.Identity{{Category: "client/pc", Type: "x"}}},
	} {
		if !c.Ambiguous() {
			t.Errorf("%v is not ambiguous", c)
		}
	}
}
