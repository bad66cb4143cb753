package sdk

import (
	"errors"
	"fmt"
	"strings"
)

// AddressShape describes how the network's ids are spelt, so that one codec turns
// any of them into an XMPP address and back without a line of code per network.
// It must never change once a bridge has been used: addresses are for ever.
//
// Within a list the first form that fits an id is its form.
type AddressShape struct {
	Users   []AddressForm // RemoteUserID -> local@NAME.D
	Rooms   []AddressForm // RemoteRoomID -> local@rooms.NAME.D
	Aliases []AddressForm // typable room names; they lead to a room, they never are one
}

// AddressForm is one spelling. A remote id is
//
//	RemotePrefix segment [Separator segment ...]
//
// parted at the first occurrences of Separator (the last segment takes the rest),
// and its local part is LocalPrefix, the encoded segments joined by '%', and a
// case mask if any segment needs one. Examples:
//
//	Matrix user   "@" ":" localpart(mask) server(fold)   @alice:hs    -> alice%hs
//	Matrix room   "!" ":" id(mask) server(fold), least 1 !QtyK:hs     -> !qtyk~9%hs
//	Slack user    ""  ":" id(upper) team(upper)          U012:T0XY    -> u012%t0xy
//	Discord user  ""  ""  id(digits)                     1234         -> 1234
type AddressForm struct {
	Name         string // "user", "room id": for messages
	RemotePrefix string
	LocalPrefix  string
	Separator    string
	Segments     []AddressSegment
	Least        int // segments an id has at least; 0: all
}

// CaseRule says what letters mean.
type CaseRule int32

const (
	CaseMask   CaseRule = 0 // case-sensitive: upper-case letters are kept in a mask
	CaseFold   CaseRule = 1 // case-insensitive: lower case is canonical
	CaseUpper  CaseRule = 2 // always upper-case ASCII: lower-cased losslessly
	CaseDigits CaseRule = 3 // digits only; anything else does not fit the form
)

// AddressSegment is one part of an id.
type AddressSegment struct {
	Name string
	Case CaseRule
}

// Validate says what is wrong with the shape.
func (s AddressShape) Validate() error {
	for _, list := range [][]AddressForm{s.Users, s.Rooms, s.Aliases} {
		for _, f := range list {
			if err := f.validate(); err != nil {
				return fmt.Errorf("address form %q: %w", f.Name, err)
			}
		}
	}
	if len(s.Users) == 0 || len(s.Rooms) == 0 {
		return errors.New("address shape: a form for users and one for rooms are needed")
	}
	return nil
}

func (f AddressForm) validate() error {
	switch {
	case len(f.Segments) == 0:
		return errors.New("no segments")
	case len(f.Segments) > 1 && f.Separator == "":
		return errors.New("several segments and no separator")
	case f.Least < 0 || f.Least > len(f.Segments):
		return errors.New("least is out of range")
	case strings.ContainsAny(f.LocalPrefix, "\"&'/:<>@\\ %~"):
		return errors.New("the local prefix has a character that local parts cannot show")
	}
	return nil
}

// Split parts a remote id into its segments, or reports that it does not fit.
func (f AddressForm) Split(id string) ([]string, bool) {
	rest, ok := strings.CutPrefix(id, f.RemotePrefix)
	if !ok || rest == "" {
		return nil, false
	}
	segments := []string{rest}
	if len(f.Segments) > 1 {
		segments = strings.SplitN(rest, f.Separator, len(f.Segments))
	}
	least := f.Least
	if least == 0 {
		least = len(f.Segments)
	}
	if len(segments) < least {
		return nil, false
	}
	for i, s := range segments {
		if s == "" || !f.Segments[i].fits(s) {
			return nil, false
		}
	}
	return segments, true
}

// Join is the reverse of Split.
func (f AddressForm) Join(segments []string) string {
	return f.RemotePrefix + strings.Join(segments, f.Separator)
}

func (s AddressSegment) fits(v string) bool {
	switch s.Case {
	case CaseDigits:
		return strings.Trim(v, "0123456789") == ""
	case CaseUpper:
		return strings.ToUpper(v) == v
	case CaseFold:
		return strings.ToLower(v) == v
	}
	return true
}
