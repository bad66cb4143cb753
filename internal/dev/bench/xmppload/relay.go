package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// The relay is what remains of a server when all XMPP is taken out: TLS,
// cutting the stream at the stanzas' ends and one write for each stanza to
// each receiver. A session says once what it is: <hello role='i'/> (idle),
// role='t' and role='r' (sender and receiver number id), role='m' (member of
// the group: each message goes to all members).

type relay struct {
	mu    sync.Mutex
	rx    map[string]*relayConn
	group []*relayConn
}

type relayConn struct {
	nc net.Conn
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "relay"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"bench.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// runRelay serves until its standard input ends, which it does when the
// generator that started it goes away.
func runRelay(args []string) error {
	fs := flag.NewFlagSet("relay", flag.ExitOnError)
	listen := fs.String("listen", "127.0.0.1:0", "address to listen on; its use is on loopback")
	fs.Parse(args)
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	go func() {
		var b [1]byte
		for {
			if _, err := os.Stdin.Read(b[:]); err != nil {
				os.Exit(0)
			}
		}
	}()
	r := &relay{rx: map[string]*relayConn{}}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true}
	for {
		nc, err := ln.Accept()
		if err != nil {
			return err
		}
		go r.serve(tls.Server(nc, conf))
	}
}

func (r *relay) serve(nc net.Conn) {
	defer nc.Close()
	c := &relayConn{nc: nc}
	var sc Scanner
	sc.Reset(nc, 1)
	b, _, err := sc.Next()
	if err != nil {
		return
	}
	role, id := string(attr(b, "role")), string(attr(b, "id"))
	r.mu.Lock()
	switch role {
	case "r":
		r.rx[id] = c
	case "m":
		r.group = append(r.group, c)
	}
	r.mu.Unlock()
	if _, err := nc.Write([]byte("<ok/>")); err != nil {
		return
	}
	var to *relayConn
	for {
		b, k, err := sc.Next()
		if err != nil {
			return
		}
		if k != kindMessage {
			continue
		}
		switch role {
		case "t":
			if to == nil {
				r.mu.Lock()
				to = r.rx[id]
				r.mu.Unlock()
			}
			if to != nil {
				to.nc.Write(b)
			}
		case "m":
			r.mu.Lock()
			g := r.group
			r.mu.Unlock()
			for _, m := range g {
				m.nc.Write(b)
			}
		}
	}
}

// runLimit runs login, chat, idle or muc against the relay.
func runLimit(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	if len(args) < 1 || strings.HasPrefix(args[0], "-") {
		return nil, fmt.Errorf("usage: xmppload limit login|chat|idle|muc [flags]")
	}
	mode := args[0]
	switch mode {
	case "login", "chat", "idle", "muc":
	default:
		return nil, fmt.Errorf("no limit for %q", mode)
	}
	cmd := exec.Command(os.Args[0], "relay")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		in.Close()
		cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, err
	}
	common := cfg.ready
	cfg.ready = func() error {
		cfg.Raw = true
		cfg.TLSMode = "direct"
		cfg.Addr = strings.TrimSpace(line)
		if err := common(); err != nil {
			return err
		}
		cfg.PIDs = []int{cmd.Process.Pid}
		cfg.RxAddr = cfg.Addr
		return nil
	}
	res, err := scenarios()[mode].run(cfg, fs, args[1:])
	for _, r := range res {
		r.Scenario = mode
		r.Label = "limit"
	}
	return res, err
}
