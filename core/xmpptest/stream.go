package xmpptest

import "fmt"

// stream opens an encrypted stream and leaves the login to the scenario.
func (p *play) stream(a *actor, _ string) error {
	return p.open(a, p.server().Dial(p.t, a.jid.Domain()))
}

// clear is stream without encryption.
func (p *play) clear(a *actor, _ string) error { return p.open(a, p.server().DialPlain(p.t)) }

// open opens the stream of a connection. The actor does not count as being here: before a login nobody is asked whether he has got everything.
func (p *play) open(a *actor, c *Conn) error {
	a.client = &Client{Conn: c, JID: a.jid, s: p.s, vars: p.vars}
	a.client.Features, a.here = a.client.Open(a.jid.Domain()), false
	return nil
}

// offered compares the features of the stream that was opened last.
func (p *play) offered(a *actor, arg string) error {
	want, err := parsePattern(arg)
	if err != nil {
		return err
	}
	if err := p.vars.match(want, a.client.Features); err != nil {
		return fmt.Errorf("%w\n offered: %s\n expected: %s", err, a.client.Features, arg)
	}
	return nil
}
