package archtest

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
)

// sockets are the names with which a package dials or listens by itself, by import path.
func sockets() map[string][]string {
	return map[string][]string{
		"net": {
			"Dial", "DialTimeout", "DialIP", "DialTCP", "DialUDP", "DialUnix", "Dialer", "DefaultResolver", "Resolver",
			"Listen", "ListenConfig", "ListenIP", "ListenMulticastUDP", "ListenPacket", "ListenTCP", "ListenUDP", "ListenUnix", "ListenUnixgram",
			"LookupAddr", "LookupCNAME", "LookupHost", "LookupIP", "LookupMX", "LookupNS", "LookupPort", "LookupSRV", "LookupTXT",
		},
		"crypto/tls": {"Dial", "DialWithDialer", "Dialer", "Listen"},
		"net/http": {
			"Client", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm", "Transport",
			"ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS", "Server",
		},
	}
}

// CheckNetwork finds sockets opened outside of the packages that own them. Tests may open what they like.
func CheckNetwork(t *Tree) []Finding {
	guarded := []string{"core/...", "bridges/gateway/...", "mappings/...", "plugins/sdk/..."}
	owners := []string{"core/transport/...", "core/dnsx/...", "core/httpd/...", "core/tlscert/...", "core/blob/...", "core/turn/...", "core/xmpptest/..."}
	var found []Finding
	for _, p := range t.Packages {
		if !matchAny(guarded, "", p.Path) || matchAny(owners, "", p.Path) {
			continue
		}
		for _, f := range p.code() {
			found = append(found, t.socketsIn(f)...)
		}
	}
	return found
}

func (t *Tree) socketsIn(f *File) []Finding {
	names := map[string][]string{} // by the name that the file imports the package as
	for _, spec := range f.AST.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil || sockets()[imported] == nil {
			continue
		}
		as := path.Base(imported)
		if spec.Name != nil {
			as = spec.Name.Name
		}
		names[as] = sockets()[imported]
	}
	var found []Finding
	ast.Inspect(f.AST, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if ok && slices.Contains(names[x.Name], sel.Sel.Name) {
			found = append(found, Finding{
				File: f.Path, Line: t.line(sel),
				What: "uses " + x.Name + "." + sel.Sel.Name,
				Rule: "transport, dnsx, httpd, tlscert, blob and turn are the only places that dial, listen and look names up",
				Do:   "take a connection, a listener's handler or a small client interface from outside",
			})
		}
		return true
	})
	return found
}
