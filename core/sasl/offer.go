package sasl

import (
	"encoding/base64"
	"slices"
	"strings"
)

// Offer is what one stream advertises, and with it what may be started there.
// A caller may take mechanisms out before it advertises them, never add some.
type Offer struct {
	Mechanisms []Name // strongest first
	Channel    Channel
}

// BindingTypes is the list of XEP-0440: the types to advertise beside the
// mechanisms, empty when no mechanism of the offer can use them.
func (o Offer) BindingTypes() []BindingType {
	if !o.hasPlus() {
		return nil
	}
	var types []BindingType
	for _, b := range o.Channel.Bindings {
		if _, ok := o.Channel.binding(b.Type); ok {
			types = append(types, b.Type)
		}
	}
	return types
}

func (o Offer) hasPlus() bool {
	return slices.ContainsFunc(o.Mechanisms, func(n Name) bool {
		return strings.HasSuffix(string(n), plusSuffix)
	})
}

// Has reports whether n is offered.
func (o Offer) Has(n Name) bool { return slices.Contains(o.Mechanisms, n) }

// offer builds the list of a server: nothing without encryption, -PLUS only
// where the channel can be bound, PLAIN last and only where it is allowed.
func (c Config) offer(ch Channel) Offer {
	o := Offer{Channel: ch}
	if !ch.Secure {
		return o // RFC 6120 §13.8.3 and attack 7: no mechanism before TLS
	}
	if ch.External != nil {
		o.Mechanisms = append(o.Mechanisms, External)
	}
	if c.Source == nil {
		return o
	}
	canBind := slices.ContainsFunc(ch.Bindings, func(b Binding) bool {
		_, ok := ch.binding(b.Type)
		return ok
	})
	for _, plus := range []bool{true, false} {
		if plus && !canBind || !plus && c.RequireBinding {
			continue
		}
		for _, h := range c.Hashes {
			o.Mechanisms = append(o.Mechanisms, h.Mechanism(plus))
		}
	}
	if c.AllowPlain && !c.RequireBinding {
		o.Mechanisms = append(o.Mechanisms, Plain)
	}
	return o
}

// DowngradeHash is the SSDP hash of XEP-0474 §5.1 over a mechanism list and the
// advertised binding types (none: XEP-0440 was not used), base64.
func DowngradeHash(h Hash, mechanisms []Name, bindings []BindingType) string {
	names := slices.Clone(mechanisms)
	slices.Sort(names) // i;octet collation is byte order
	sum := h.New()
	for i, n := range names {
		if i > 0 {
			sum.Write([]byte{0x1e})
		}
		sum.Write([]byte(n))
	}
	types := slices.Clone(bindings)
	slices.Sort(types)
	for i, t := range types {
		if i == 0 {
			sum.Write([]byte{0x1f})
		} else {
			sum.Write([]byte{0x1e})
		}
		sum.Write([]byte(t))
	}
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}
