package search

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// typeMUC is the only type of service that is searched here.
const typeMUC = "xep-0045"

// Keys to sort by (XEP-0433 §6.1).
const (
	keySeats   = "{" + ns.ChannelSearchOrder + "}nusers"
	keyAddress = "{" + ns.ChannelSearchOrder + "}address"
)

// search is what somebody looks for.
type search struct {
	terms                            []string // in lower case; all of them have to be there
	inName, inDescription, inAddress bool
	nothing                          bool // types of service that are not here
	minSeats                         int
	bySeats                          bool
	after                            string
	limit                            int
}

// searchForm is the form with its defaults (XEP-0433 §4.2.1).
func searchForm() *form.Form {
	flag := func(name, label string, on bool) form.Field {
		return form.Field{Var: name, Type: form.Boolean, Label: label, Values: []string{form.FormatBool(on)}}
	}
	return form.New(form.TypeForm, ns.ChannelSearchForm).Add(
		form.Field{Var: "q", Type: form.TextSingle, Label: "Search for"},
		flag("all", "Return all entries", false),
		flag("sinname", "Search in name", true),
		flag("sindescription", "Search in description", true),
		flag("sinaddr", "Search in address", true),
		form.Field{Var: "min_users", Type: form.TextSingle, Label: "Minimum number of users", Values: []string{"0"}},
		form.Field{Var: "types", Type: form.ListMulti, Label: "Service types", Values: []string{typeMUC},
			Options: []form.Option{{Label: "XEP-0045 Multi-User Chats", Value: typeMUC}}},
		form.Field{Var: "key", Type: form.ListSingle, Label: "Sort results by", Values: []string{keySeats},
			Options: []form.Option{{Label: "Number of online users", Value: keySeats}, {Label: "Address", Value: keyAddress}}})
}

// searchError is an error with the condition that XEP-0433 §4.2.2 gives it.
func searchError(c stanza.Condition, typ, condition, text string, vars ...string) error {
	app := xmlstream.NewNode(ns.ChannelSearchError, condition)
	for _, v := range vars {
		app.AddNew("var").SetText(v)
	}
	return &stanza.Error{Condition: c, Type: typ, Text: text, App: app}
}

// readSearch reads a request; nil: it asks for the form.
func readSearch(q *xmlstream.Node) (*search, error) {
	x := form.Find(q)
	if x == nil {
		return nil, nil
	}
	f, err := form.Parse(x)
	if err != nil || f.Type != form.TypeSubmit || f.FormType() != "" && f.FormType() != ns.ChannelSearchForm {
		return nil, stanza.NewError(stanza.BadRequest, "a submitted search form is needed")
	}
	s := &search{bySeats: true}
	if err := s.page(q); err != nil {
		return nil, err
	}
	if fd, ok := f.Field("key"); ok {
		switch fd.Value() {
		case keySeats:
		case keyAddress:
			s.bySeats = false
		default:
			return nil, searchError(stanza.FeatureNotImplemented, "modify", "invalid-sort-key", "rooms cannot be sorted by this")
		}
	}
	if fd, ok := f.Field("types"); ok && !slices.Contains(fd.Values, typeMUC) {
		s.nothing = true
	}
	if v := f.Value("min_users"); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return nil, stanza.NewError(stanza.BadRequest, "the number of users is not a number")
		}
		s.minSeats = int(n)
	}
	return s, s.words(f)
}

// page reads which page is asked for (XEP-0059). Pages follow each other in one direction.
func (s *search) page(q *xmlstream.Node) error {
	r, err := rsm.Parse(q)
	switch {
	case err != nil:
		return stanza.NewError(stanza.BadRequest, "the page asked for cannot be understood")
	case r.Backward || r.Index >= 0:
		return stanza.NewError(stanza.FeatureNotImplemented, "results come from the first to the last only")
	}
	s.after, s.limit = r.After, r.Limit(large)
	if r.Max < 0 {
		s.limit = usual
	}
	return nil
}

// words reads what to look for and where.
func (s *search) words(f *form.Form) error {
	flag := func(preset bool, names ...string) (bool, error) {
		for _, n := range names {
			if fd, ok := f.Field(n); ok {
				return fd.Bool()
			}
		}
		return preset, nil
	}
	all, err1 := flag(false, "all")
	var err2, err3, err4 error
	s.inName, err2 = flag(true, "sinname")
	s.inDescription, err3 = flag(true, "sindescription")
	s.inAddress, err4 = flag(true, "sinaddr", "sinaddress") // §4.2.1 and §6.1 name it differently
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return stanza.NewError(stanza.BadRequest, "a field of the form is neither true nor false")
		}
	}
	q := strings.TrimSpace(f.Value("q"))
	switch {
	case all && q != "":
		return searchError(stanza.BadRequest, "modify", "conflicting-fields", "either all rooms are returned, or those with certain words", "all", "q")
	case all:
		return nil
	case q == "":
		return searchError(stanza.BadRequest, "cancel", "no-search-conditions", "there is nothing to search for")
	case !s.inName && !s.inDescription && !s.inAddress:
		return searchError(stanza.BadRequest, "modify", "conflicting-fields", "there is nowhere to search", "sinname", "sindescription", "sinaddr")
	}
	const shortest, most = 2, 10
	for w := range strings.FieldsSeq(strings.ToLower(q)) {
		if utf8.RuneCountInString(w) >= shortest && len(s.terms) < most {
			s.terms = append(s.terms, w)
		}
	}
	if len(s.terms) == 0 {
		return searchError(stanza.BadRequest, "modify", "invalid-search-terms", "a search term has at least two characters")
	}
	return nil
}

// matches tells whether a room has all the words.
func (s *search) matches(c room.Config, at jid.JID) bool {
	if s.nothing {
		return false
	}
	if len(s.terms) == 0 {
		return true
	}
	var in []string
	if s.inName {
		in = append(in, strings.ToLower(c.Name))
	}
	if s.inDescription {
		in = append(in, strings.ToLower(c.Description))
	}
	if s.inAddress {
		in = append(in, at.String())
	}
	for _, t := range s.terms {
		if !slices.ContainsFunc(in, func(text string) bool { return strings.Contains(text, t) }) {
			return false
		}
	}
	return true
}
