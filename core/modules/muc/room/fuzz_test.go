package room

import (
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// FuzzForms gives what anybody can send as a form to everything that reads forms: nothing panics, and what is taken keeps its bounds.
func FuzzForms(f *testing.F) {
	form4 := func(typ string, fields ...string) string {
		var b strings.Builder
		for _, kv := range fields {
			k, v, _ := strings.Cut(kv, "=")
			b.WriteString("<field var='" + k + "'><value>" + v + "</value></field>")
		}
		return "<x xmlns='jabber:x:data' type='" + typ + "'>" + b.String() + "</x>"
	}
	f.Add(form4("submit", "FORM_TYPE=http://jabber.org/protocol/muc#request", "muc#role=participant"))
	f.Add(form4("submit", "FORM_TYPE=http://jabber.org/protocol/muc#request", "muc#role=participant", "muc#jid=none@example.org/desk", "muc#roomnick=none", "muc#request_allow=1"))
	f.Add(form4("submit", "FORM_TYPE=http://jabber.org/protocol/muc#register", "muc#register_roomnick=n", "muc#register_first=a"))
	f.Add(form4("submit", "FORM_TYPE=http://jabber.org/protocol/muc#register", "x-muc#register_jid=a@b/c", "muc#register_allow=true"))
	f.Add(form4("submit", "muc#roomconfig_presencebroadcast=visitors", "muc#maxhistoryfetch=7", "muc#roomconfig_maxusers=none"))
	f.Add("<x xmlns='jabber:x:data' type='submit'/>")
	f.Fuzz(func(t *testing.T, text string) {
		frag, err := xmlstream.ParseFragment([]byte(text))
		if err != nil || frag.NumChildren() != 1 {
			return
		}
		fm, err := form.Parse(frag.At(0).Node())
		if err != nil {
			return
		}
		r := newTestRoom(Config{Moderated: true})
		owner := r.ActorOf(person("owner"))
		if o, _, err := r.VoiceAnswer(owner, fm); err == nil && r.ByNick(o.Nick) != o {
			t.Error("an answer about somebody who is not there")
		}
		_ = r.MayAskForVoice(r.ByNick("none"), fm)
		if m, err := ParseMembership(fm); err == nil && m.Nick == "" {
			t.Error("a registration without a nick")
		}
		if who, _, _, err := ApprovalAnswer(fm); err == nil {
			if j, bad := jid.Parse(who); bad != nil || !j.IsBare() || j.String() != who {
				t.Errorf("an answer about %q", who)
			}
		}
		c, err := r.Config.Submit(fm)
		if err != nil {
			return
		}
		if c.MaxHistory > maxHistory || c.MaxUsers < 0 {
			t.Errorf("out of bounds: %s", c.Encode())
		}
		if back, err := DecodeConfig(c.Encode()); err != nil || string(back.Encode()) != string(c.Encode()) {
			t.Errorf("what was taken cannot be stored: %v", err)
		}
	})
}
