package sdk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestErrors(t *testing.T) {
	cause := errors.New("secret cause")
	for _, tc := range []struct {
		name string
		err  error
		want Error
		is   error
	}{
		{"refusal", Refuse(CodeNotFound, "no %s", "room"), Error{Code: CodeNotFound, Text: "no room"}, ErrNotFound},
		{"wrapped", fmt.Errorf("send: %w", Refuse(CodeConflict, "taken")), Error{Code: CodeConflict, Text: "taken"}, ErrConflict},
		{"rate limit", RetryAfter(time.Second, cause), Error{Code: CodeRateLimited, Temporary: true, RetryAfter: time.Second, Err: cause}, cause},
		{"away", RetryAfter(0, cause), Error{Code: CodeUnavailable, Temporary: true, Err: cause}, cause},
		{"unsupported", Unsupported("flying"), Error{Code: CodeUnsupported, Text: "flying is not supported here"}, ErrUnsupported},
		{"untyped is temporary", cause, Error{Temporary: true, Err: cause}, cause},
		{"deadline", context.DeadlineExceeded, Error{Code: CodeUnavailable, Temporary: true, Err: context.DeadlineExceeded}, context.DeadlineExceeded},
		{"lost", ErrSessionLost, Error{Code: CodeSessionLost, Temporary: true}, ErrSessionLost},
	} {
		got := AsError(tc.err)
		if *got != tc.want {
			t.Errorf("%s: %+v", tc.name, *got)
		}
		if !errors.Is(tc.err, tc.is) {
			t.Errorf("%s: is not %v", tc.name, tc.is)
		}
	}
	if AsError(nil) != nil {
		t.Error("nil is an error")
	}
	if errors.Is(Refuse(CodeNotFound, "a"), ErrConflict) || errors.Is(Refuse(CodeNotFound, "a"), Refuse(CodeNotFound, "b")) {
		t.Error("different errors are the same")
	}
	if s := RetryAfter(time.Second, cause).Error(); s != "rate limited (temporary): secret cause" {
		t.Error(s)
	}
	if Code(99).String() != "failed" || Code(-1).String() != "failed" || CodeProtocol.String() != "protocol error" {
		t.Error("names of codes")
	}
}

func TestTicket(t *testing.T) {
	tk := NewTicket()
	var got []string
	tk.Then(func(r Receipt, err error) { got = append(got, fmt.Sprint("early ", len(r.Problems), err)) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tk.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	tk.Settle(Receipt{Problems: []EventProblem{{}}}, nil)
	tk.Settle(Receipt{}, errors.New("late"))
	tk.Then(func(r Receipt, err error) { got = append(got, fmt.Sprint("late ", len(r.Problems), err)) })
	if r, err := tk.Wait(t.Context()); err != nil || len(r.Problems) != 1 {
		t.Error(r, err)
	}
	if strings.Join(got, "; ") != "early 1 <nil>; late 1 <nil>" {
		t.Error(got)
	}
}

func TestSignalQueue(t *testing.T) {
	q := NewSignalQueue(2)
	typing := func(who string, active bool) *Typing {
		return &Typing{Who: Party{User: RemoteUserID(who)}, Active: active}
	}
	q.Put(nil)
	q.Put(typing("a", true))
	q.Put(typing("b", true))
	q.Put(typing("a", false)) // replaces
	<-q.Ready()
	got := q.Take()
	if len(got) != 2 || got[0].(*Typing).Who.User != "a" || got[0].(*Typing).Active {
		t.Fatalf("%+v", got)
	}
	for _, who := range []string{"c", "d", "e"} {
		q.Put(typing(who, true))
	}
	q.Put(&Presence{Who: Party{User: "e"}}) // another key than e's typing
	if got := q.Take(); len(got) != 2 || got[0].(*Typing).Who.User != "e" || q.Dropped() != 2 {
		t.Fatalf("%+v, %d dropped", got, q.Dropped())
	}
	if len(q.Take()) != 0 {
		t.Fatal("taken twice")
	}
}

func TestAddressForms(t *testing.T) {
	user := AddressForm{Name: "user", RemotePrefix: "@", Separator: ":", Segments: []AddressSegment{{"localpart", CaseMask}, {"server", CaseFold}}}
	room := AddressForm{Name: "room", RemotePrefix: "!", LocalPrefix: "!", Separator: ":", Segments: []AddressSegment{{"id", CaseMask}, {"server", CaseFold}}, Least: 1}
	slack := AddressForm{Name: "user", Separator: ":", Segments: []AddressSegment{{"id", CaseUpper}, {"team", CaseUpper}}}
	discord := AddressForm{Name: "user", Segments: []AddressSegment{{"id", CaseDigits}}}
	for _, tc := range []struct {
		form AddressForm
		id   string
		want string // joined by a bar; "" does not fit
	}{
		{user, "@alice:matrix.org", "alice|matrix.org"},
		{user, "@a/b:hs:8448", "a/b|hs:8448"},
		{user, "alice:matrix.org", ""},
		{user, "@alice", ""},
		{user, "@:hs", ""},
		{user, "@alice:HS", ""},
		{room, "!QtyK:hs", "QtyK|hs"},
		{room, "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM", "31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"},
		{room, "!", ""},
		{slack, "U012ABC:T0XYZ", "U012ABC|T0XYZ"},
		{slack, "u012abc:T0XYZ", ""},
		{discord, "123456789012345678", "123456789012345678"},
		{discord, "wh-1", ""},
	} {
		got, ok := tc.form.Split(tc.id)
		if strings.Join(got, "|") != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %q, %v", tc.id, got, ok)
		}
		if ok && tc.form.Join(got) != tc.id {
			t.Errorf("%s: joined %s", tc.id, tc.form.Join(got))
		}
	}
	good := AddressShape{Users: []AddressForm{user}, Rooms: []AddressForm{room}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]AddressShape{
		"no users":     {Rooms: []AddressForm{room}},
		"no segments":  {Users: []AddressForm{{}}, Rooms: []AddressForm{room}},
		"no separator": {Users: []AddressForm{{Segments: make([]AddressSegment, 2)}}, Rooms: []AddressForm{room}},
		"prefix":       {Users: []AddressForm{{LocalPrefix: "a%", Segments: make([]AddressSegment, 1)}}, Rooms: []AddressForm{room}},
		"least":        {Users: []AddressForm{{Least: 2, Segments: make([]AddressSegment, 1)}}, Rooms: []AddressForm{room}},
	} {
		if bad.Validate() == nil {
			t.Errorf("%s: valid", name)
		}
	}
}

func TestReportFailed(t *testing.T) {
	if (Report{Checks: []Check{{Status: CheckOK}, {Status: CheckWarning}}}).Failed() || !(Report{Checks: []Check{{Status: CheckFailed}}}).Failed() {
		t.Error("failed")
	}
}
