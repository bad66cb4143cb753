package tlscert

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// lookup maps to A-labels as RFC 5891 §5 does; underscores occur in real hosts.
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.VerifyDNSLength(true))

// normalize gives the form in which names are compared: A-labels, lower case,
// no final dot. Addresses and a leading "*." stay.
func normalize(name string) (string, error) {
	name = strings.TrimSuffix(name, ".")
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return addr.String(), nil
	}
	base, wild := strings.CutPrefix(name, "*.")
	ascii, err := lookup.ToASCII(base)
	if err == nil { // what is compared must not change when it is normalised again
		var again string
		if again, err = lookup.ToASCII(ascii); again != ascii {
			ascii = "?"
		}
	}
	if err != nil || strings.Trim(ascii, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return "", fmt.Errorf("%.100q is no host name", name)
	}
	if wild {
		return "*." + ascii, nil
	}
	return ascii, nil
}

func normalizeAll(names []string) ([]string, error) {
	out := make([]string, 0, len(names))
	for _, n := range names {
		a, err := normalize(n)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out, nil
}

// covers says whether a dNSName stands for a host (RFC 9525 §6.3): equal, or
// with a left-most label that is "*" and stands for exactly one label. Both are
// normalised; a "*" anywhere else matches nothing.
func covers(pattern, host string) bool {
	if pattern == host {
		return !strings.Contains(host, "*")
	}
	suffix, wild := strings.CutPrefix(pattern, "*.")
	if !wild || strings.Contains(suffix, "*") {
		return false
	}
	label, rest, ok := strings.Cut(host, ".")
	return ok && label != "" && rest == suffix
}

// withWildcards adds "*.N" for each name that is a parent of another one or has
// no parent among them: D and *.D, NAME.D and *.NAME.D, but not *.rooms.D.
func withWildcards(names []string) []string {
	isChild := func(n, parent string) bool { return strings.HasSuffix(n, "."+parent) }
	out := slices.Clone(names)
	for _, n := range names {
		if _, err := netip.ParseAddr(n); err == nil || strings.HasPrefix(n, "*.") {
			continue
		}
		hasChild := slices.ContainsFunc(names, func(o string) bool { return isChild(o, n) })
		hasParent := slices.ContainsFunc(names, func(o string) bool { return isChild(n, o) })
		if w := "*." + n; (hasChild || !hasParent) && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// roots are the names that no other one is a parent of: what a certificate
// authority for just these names is limited to.
func roots(names []string) []string {
	var out []string
	for _, n := range names {
		n = strings.TrimPrefix(n, "*.")
		hasParent := slices.ContainsFunc(names, func(o string) bool {
			return strings.HasSuffix(n, "."+strings.TrimPrefix(o, "*."))
		})
		if !hasParent && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
