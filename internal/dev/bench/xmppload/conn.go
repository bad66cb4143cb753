package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what all scenarios share.
type Config struct {
	Addr, Domain     string
	RxAddr, RxDomain string // receivers of chat, for the server-to-server case
	Prefix           string
	Password         string
	TLSMode          string // starttls, direct or none
	TLSVer           string
	Curve            string
	Mech             string
	Resource         string
	First            int
	SM, Carbons, CSI bool
	Roster           bool
	Conc             int
	Timeout          time.Duration
	Label, Variant   string
	PIDs             []int
	Raw              bool // relay protocol of "limit" in place of XMPP

	tls   *tls.Config
	keys  *keyCache
	ready func() error // finishes the common configuration after a scenario parsed its flags
}

func (c *Config) prepare() error {
	t := &tls.Config{InsecureSkipVerify: true, ServerName: c.Domain}
	switch c.TLSVer {
	case "1.3":
		t.MinVersion, t.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	case "1.2":
		t.MinVersion, t.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	default:
		return fmt.Errorf("unknown TLS version %q", c.TLSVer)
	}
	switch c.Curve {
	case "x25519":
		t.CurvePreferences = []tls.CurveID{tls.X25519}
	case "p256":
		t.CurvePreferences = []tls.CurveID{tls.CurveP256}
	case "default":
	default:
		return fmt.Errorf("unknown curve %q", c.Curve)
	}
	if c.TLSMode == "direct" && !c.Raw {
		t.NextProtos = []string{"xmpp-client"}
	}
	c.tls = t
	if c.RxAddr == "" {
		c.RxAddr = c.Addr
	}
	if c.RxDomain == "" {
		c.RxDomain = c.Domain
	}
	return nil
}

// Client is one session.
type Client struct {
	cfg    *Config
	idx    int
	user   string
	domain string
	addr   string
	jid    string // full JID after bind
	nc     net.Conn
	sc     Scanner
	suite  string

	smOn  bool
	smIn  uint32        // stanzas received since <enabled/>
	smOut atomic.Uint32 // stanzas sent since <enable/>

	hello   string // first words to the relay
	closing atomic.Bool
	onUnit  func(b []byte, kind byte) // stanzas that arrive outside a wait
}

// Stages is how long the parts of a login took.
type Stages struct {
	Connect, TLS, Auth, Bind, Total time.Duration
}

func newClient(cfg *Config, idx int) *Client {
	return &Client{cfg: cfg, idx: idx, user: cfg.Prefix + strconv.Itoa(idx), domain: cfg.Domain, addr: cfg.Addr}
}

func (c *Client) bare() string { return c.user + "@" + c.domain }

func (c *Client) send(s string) error { return c.write([]byte(s)) }

// write sends one unit.
func (c *Client) write(b []byte) error {
	if c.smOn {
		switch kindOf(b) {
		case kindMessage, kindPresence, kindIQ:
			c.smOut.Add(1)
		}
	}
	_, err := c.nc.Write(b)
	return err
}

// next returns the next unit and answers acknowledgement requests.
func (c *Client) next() ([]byte, byte, error) {
	for {
		b, k, err := c.sc.Next()
		if err != nil {
			return nil, 0, err
		}
		switch k {
		case kindMessage, kindPresence, kindIQ:
			c.smIn++
		case kindAckReq:
			if c.smOn {
				var a [64]byte
				o := append(a[:0], "<a xmlns='urn:xmpp:sm:3' h='"...)
				o = strconv.AppendUint(o, uint64(c.smIn), 10)
				o = append(o, "'/>"...)
				if err := c.write(o); err != nil {
					return nil, 0, err
				}
			}
			continue
		}
		return b, k, nil
	}
}

func (c *Client) openStream() error {
	return c.send("<?xml version='1.0'?><stream:stream to='" + c.domain +
		"' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
}

// features opens a stream and returns the features element.
func (c *Client) features() ([]byte, error) {
	c.sc.Reset(c.nc, 0)
	if err := c.openStream(); err != nil {
		return nil, err
	}
	for {
		b, k, err := c.next()
		if err != nil {
			return nil, err
		}
		if k == kindStream {
			continue
		}
		if bytes.HasPrefix(b, []byte("<stream:features")) || bytes.HasPrefix(b, []byte("<features")) {
			return b, nil
		}
		return nil, fmt.Errorf("expected features, got %.200s", b)
	}
}

// secure connects up to the stream on TLS.
func (c *Client) secure(st *Stages) error {
	cfg := c.cfg
	t0 := time.Now()
	nc, err := (&net.Dialer{Timeout: cfg.Timeout}).Dial("tcp", c.addr)
	if err != nil {
		return err
	}
	c.nc = nc
	nc.SetDeadline(time.Now().Add(cfg.Timeout))
	if cfg.TLSMode == "starttls" && !cfg.Raw {
		if _, err := c.features(); err != nil {
			return fmt.Errorf("first stream: %w", err)
		}
		if err := c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); err != nil {
			return err
		}
		b, _, err := c.next()
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(b, []byte("<proceed")) {
			return fmt.Errorf("starttls: got %.200s", b)
		}
	}
	t1 := time.Now()
	if cfg.TLSMode != "none" {
		tc := tls.Client(nc, cfg.tls)
		if err := tc.Handshake(); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		cs := tc.ConnectionState()
		c.suite = tls.VersionName(cs.Version) + " " + tls.CipherSuiteName(cs.CipherSuite)
		c.nc = tc
	}
	if st != nil {
		st.Connect = t1.Sub(t0)
		st.TLS = time.Since(t1)
	}
	return nil
}

func (c *Client) auth() error {
	cfg := c.cfg
	f, err := c.features()
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if !bytes.Contains(f, []byte(">"+cfg.Mech+"<")) {
		return fmt.Errorf("%s not offered: %.400s", cfg.Mech, f)
	}
	b64 := base64.StdEncoding.EncodeToString
	open := "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + cfg.Mech + "'>"
	var sc *scram
	if cfg.Mech == "PLAIN" {
		err = c.send(open + b64([]byte("\x00"+c.user+"\x00"+cfg.Password)) + "</auth>")
	} else {
		if sc, err = newScram(cfg.Mech, c.user); err != nil {
			return err
		}
		err = c.send(open + b64([]byte("n,,"+sc.first)) + "</auth>")
	}
	if err != nil {
		return err
	}
	verified := sc == nil
	for {
		b, _, err := c.next()
		if err != nil {
			return err
		}
		success := bytes.HasPrefix(b, []byte("<success"))
		if !success && !bytes.HasPrefix(b, []byte("<challenge")) {
			return fmt.Errorf("auth of %s: %.300s", c.user, b)
		}
		data, err := base64.StdEncoding.DecodeString(string(text(b)))
		if err != nil {
			return err
		}
		if success {
			if !verified {
				if err := sc.verify(data); err != nil {
					return err
				}
			}
			return nil
		}
		resp := ""
		if sc != nil && sc.sig == nil {
			if resp, err = sc.final(cfg.keys, cfg.Password, data); err != nil {
				return err
			}
		} else if sc != nil && !verified {
			if err := sc.verify(data); err != nil {
				return err
			}
			verified = true
		}
		if err := c.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + b64([]byte(resp)) + "</response>"); err != nil {
			return err
		}
	}
}

// wait reads until match accepts a unit; others go to onUnit.
func (c *Client) wait(match func(b []byte, k byte) bool) error {
	for {
		b, k, err := c.next()
		if err != nil {
			return err
		}
		if match(b, k) {
			return nil
		}
		if bytes.HasPrefix(b, []byte("<stream:error")) {
			return fmt.Errorf("%.300s", b)
		}
		if c.onUnit != nil {
			c.onUnit(b, k)
		}
	}
}

// iq sends a request and waits for its result.
func (c *Client) iq(id, xml string) error {
	if err := c.send(xml); err != nil {
		return err
	}
	var bad error
	err := c.wait(func(b []byte, k byte) bool {
		if k != kindIQ || string(attr(b, "id")) != id {
			return false
		}
		if string(attr(b, "type")) != "result" {
			bad = fmt.Errorf("iq %s: %.300s", id, b)
		}
		return true
	})
	if err != nil {
		return err
	}
	return bad
}

// bind binds the resource and sets up what the flags ask for, short of
// presence.
func (c *Client) bind() error {
	cfg := c.cfg
	if _, err := c.features(); err != nil {
		return fmt.Errorf("stream after auth: %w", err)
	}
	if err := c.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" +
		cfg.Resource + "</resource></bind></iq>"); err != nil {
		return err
	}
	var bad error
	err := c.wait(func(b []byte, k byte) bool {
		if k != kindIQ {
			return false
		}
		c.jid = string(inner(b, "<jid"))
		if c.jid == "" {
			bad = fmt.Errorf("bind: %.300s", b)
		}
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return err
	}
	if cfg.SM {
		if err := c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"); err != nil {
			return err
		}
		err := c.wait(func(b []byte, k byte) bool {
			if bytes.HasPrefix(b, []byte("<failed")) {
				bad = fmt.Errorf("sm: %.300s", b)
				return true
			}
			return bytes.HasPrefix(b, []byte("<enabled"))
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			return err
		}
		c.smOn = true
		c.smIn = 0
		c.smOut.Store(0)
	}
	if cfg.Roster {
		if err := c.iq("rost", "<iq type='get' id='rost'><query xmlns='jabber:iq:roster'/></iq>"); err != nil {
			return err
		}
	}
	if cfg.Carbons {
		if err := c.iq("carb", "<iq type='set' id='carb'><enable xmlns='urn:xmpp:carbons:2'/></iq>"); err != nil {
			return err
		}
	}
	return nil
}

// presence sends initial presence and waits until it comes back (RFC 6121,
// section 4.2.2).
func (c *Client) presence() error {
	if err := c.send("<presence/>"); err != nil {
		return err
	}
	if err := c.wait(func(b []byte, k byte) bool {
		return k == kindPresence && string(attr(b, "from")) == c.jid
	}); err != nil {
		return err
	}
	if c.cfg.CSI {
		return c.send("<inactive xmlns='urn:xmpp:csi:0'/>")
	}
	return nil
}

// connect brings a session up; with presence false it stops after bind.
func (c *Client) connect(presence bool) (st Stages, err error) {
	t0 := time.Now()
	defer func() {
		st.Total = time.Since(t0)
		if err != nil && c.nc != nil {
			c.nc.Close()
		}
	}()
	if err = c.secure(&st); err != nil {
		return
	}
	t1 := time.Now()
	if c.cfg.Raw {
		c.sc.Reset(c.nc, 1)
		if c.hello == "" {
			c.hello = "<hello role='i'/>"
		}
		if err = c.send(c.hello); err != nil {
			return
		}
		if _, _, err = c.next(); err != nil {
			return
		}
	} else {
		if err = c.auth(); err != nil {
			return
		}
		t2 := time.Now()
		st.Auth = t2.Sub(t1)
		if err = c.bind(); err != nil {
			return
		}
		if presence {
			if err = c.presence(); err != nil {
				return
			}
		}
		st.Bind = time.Since(t2)
	}
	c.nc.SetDeadline(time.Time{})
	return
}

// loop hands every unit to fn until the session ends.
func (c *Client) loop(fn func(b []byte, kind byte)) error {
	for {
		b, k, err := c.next()
		if err != nil {
			if c.closing.Load() {
				return nil
			}
			return err
		}
		fn(b, k)
	}
}

// logout closes the stream and waits shortly for the server to do the same.
func (c *Client) logout() {
	if c.nc == nil {
		return
	}
	c.closing.Store(true)
	c.nc.SetDeadline(time.Now().Add(2 * time.Second))
	if !c.cfg.Raw {
		if c.send("</stream:stream>") == nil {
			for {
				if _, _, err := c.sc.Next(); err != nil {
					break
				}
			}
		}
	}
	c.nc.Close()
}

// closeAsync is logout for a session whose reader goroutine still runs.
func (c *Client) closeAsync() {
	if c.nc == nil {
		return
	}
	c.closing.Store(true)
	c.nc.SetDeadline(time.Now().Add(2 * time.Second))
	if !c.cfg.Raw {
		c.send("</stream:stream>")
	}
}

// connectAll brings up sessions first..first+n-1 with cfg.Conc at a time.
func connectAll(cs []*Client, conc int, presence bool) error {
	return forEach(len(cs), conc, func(i int) error {
		var err error
		for try := 0; try < 3; try++ {
			if _, err = cs[i].connect(presence); err == nil {
				return nil
			}
			cs[i].sc = Scanner{}
			time.Sleep(200 * time.Millisecond)
		}
		return fmt.Errorf("%s: %w", cs[i].user, err)
	})
}

func closeAll(cs []*Client) {
	forEach(len(cs), 32, func(i int) error {
		cs[i].closeAsync()
		return nil
	})
	time.Sleep(500 * time.Millisecond)
	for _, c := range cs {
		if c.nc != nil {
			c.nc.Close()
		}
	}
}

// forEach calls fn(0..n-1) from conc goroutines and returns the first error;
// after an error no further calls are begun.
func forEach(n, conc int, fn func(i int) error) error {
	if conc < 1 {
		conc = 1
	}
	if conc > n {
		conc = n
	}
	var next atomic.Int64
	var failed atomic.Bool
	var mu sync.Mutex
	var first error
	var wg sync.WaitGroup
	for w := 0; w < conc; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := fn(i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					failed.Store(true)
				}
			}
		}()
	}
	wg.Wait()
	return first
}

var errTimeout = errors.New("timed out")

// waitFor polls cond until it holds.
func waitFor(limit time.Duration, cond func() bool) error {
	end := time.Now().Add(limit)
	for !cond() {
		if time.Now().After(end) {
			return errTimeout
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}
