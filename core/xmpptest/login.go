package xmpptest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Steps about logging in on a stream that the scenario has opened, also with somebody in between who changes what the two sides see.

// attempt is how a client logs in: "mechanism=SCRAM-SHA-256-PLUS binding=tls-exporter".
type attempt struct {
	mechanism sasl.Name
	binding   sasl.BindingType // of the -PLUS mechanisms; "": none
	password  string
	hidden    []string // mechanisms and types of binding that somebody has taken out of the offer
	version   uint16   // of TLS, as the client sees it; 0: as it is
	elsewhere bool     // its TLS ends at somebody else: what it binds to is not what the server has
	err       string   // what the failure says
}

func parseAttempt(arg string) (a attempt, err error) {
	a.password = Password
	words, rest, _ := strings.Cut(arg, ": ")
	a.err = strings.TrimSpace(rest)
	for _, word := range strings.Fields(words) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "mechanism":
			a.mechanism = sasl.Name(value)
		case "binding":
			a.binding = sasl.BindingType(value)
		case "password":
			a.password = value
		case "hidden":
			a.hidden = strings.Split(value, ",")
		case "tls":
			_, err = fmt.Sscanf(value, "%04x", &a.version)
		case "elsewhere":
			a.elsewhere = true
		default:
			err = fmt.Errorf("%q is nothing about a login", word)
		}
		if err != nil {
			return a, err
		}
	}
	if a.mechanism == "" {
		return a, errors.New("a login has a mechanism")
	}
	return a, nil
}

// login logs in; what follows is the stream behind it.
func (p *play) login(a *actor, arg string) error {
	at, err := parseAttempt(arg)
	if err != nil {
		return err
	}
	if err := a.client.attempt(a.jid.Local(), at); err != nil {
		return err
	}
	a.client.Features = a.client.Open(a.jid.Domain())
	return nil
}

// loginFails expects that it fails, and how.
func (p *play) loginFails(a *actor, arg string) error {
	at, err := parseAttempt(arg)
	if err != nil {
		return err
	}
	if at.err == "" {
		return errors.New("say how the login fails, behind a colon")
	}
	err = a.client.attempt(a.jid.Local(), at)
	if err == nil {
		return errors.New("the login succeeds")
	}
	if !strings.Contains(err.Error(), at.err) {
		return fmt.Errorf("the login fails otherwise: %w", err)
	}
	return nil
}

func (c *Client) attempt(user string, at attempt) error {
	names, bindings := offers(c.Features)
	gone := func(s string) bool { return slices.Contains(at.hidden, s) }
	names = slices.DeleteFunc(names, func(n sasl.Name) bool { return gone(string(n)) })
	bindings = slices.DeleteFunc(bindings, func(b sasl.BindingType) bool { return gone(string(b)) })
	ch, err := c.channel(at)
	if err != nil {
		return err
	}
	name, x, err := sasl.NewClient(sasl.ClientConfig{Username: user, Password: at.password, Offered: names, OfferedBindings: bindings,
		Mechanisms: []sasl.Name{at.mechanism}, Channel: ch})
	if err != nil {
		return err
	}
	return c.exchange(string(name), x)
}

// offers reads what a stream offers for logging in.
func offers(features *xmlstream.Node) (names []sasl.Name, bindings []sasl.BindingType) {
	if list := features.Child(ns.SASL, "mechanisms"); list != nil {
		for m := range list.Children(ns.SASL, "mechanism") {
			names = append(names, sasl.Name(m.TextContent()))
		}
	}
	if list := features.Child(ns.SASLChannelBinding, "sasl-channel-binding"); list != nil { // XEP-0440
		for b := range list.Elements() {
			bindings = append(bindings, sasl.BindingType(b.Attr("type")))
		}
	}
	return names, bindings
}

// channel is what the client sees of its stream.
func (c *Client) channel(at attempt) (sasl.Channel, error) {
	st, ok := c.tlsState()
	if !ok {
		return sasl.Channel{}, nil
	}
	ch := sasl.FromTLS(&st, st.PeerCertificates[0])
	if at.version != 0 {
		ch.Version = at.version
	}
	ch.Bindings = slices.DeleteFunc(ch.Bindings, func(b sasl.Binding) bool { return b.Type != at.binding })
	if at.binding != "" && len(ch.Bindings) == 0 {
		return ch, fmt.Errorf("there is nothing to bind to with %s", at.binding)
	}
	if at.elsewhere {
		ch.Bindings = slices.Clone(ch.Bindings)
		for i := range ch.Bindings {
			data := slices.Clone(ch.Bindings[i].Data)
			data[0] ^= 1
			ch.Bindings[i].Data = data
		}
	}
	return ch, nil
}

// tlsState is that of the connection; false: it has none that can be seen.
func (c *Conn) tlsState() (tls.ConnectionState, bool) {
	switch nc := c.nc.(type) {
	case *tls.Conn:
		return nc.ConnectionState(), true
	case *frames:
		if nc.tls != nil {
			return *nc.tls, true
		}
	}
	return tls.ConnectionState{}, false
}

// speaks compares what TLS has agreed on (RFC 7301).
func (p *play) speaks(a *actor, arg string) error {
	st, ok := a.client.tlsState()
	if !ok {
		return errors.New("the connection has no TLS")
	}
	if st.NegotiatedProtocol != arg {
		return fmt.Errorf("TLS has agreed on %q", st.NegotiatedProtocol)
	}
	return nil
}

// refusedTLS expects that TLS for another protocol comes to nothing.
func (p *play) refusedTLS(a *actor, arg string) error {
	nc, err := p.server().dialTLS(p.t, a.jid.Domain(), arg)
	if err == nil {
		_ = nc.Close()
		return errors.New("it is accepted")
	}
	if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "remote error" { // the server has said so itself
		return fmt.Errorf("refused in another way: %w", err)
	}
	return nil
}
