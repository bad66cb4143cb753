package xmpptest

import (
	"fmt"
	"strings"
)

// A scenario is a text file of steps, one a line; the lines that are indented below a step belong to it. Lines that begin with # are
// comments; the first says which section of which specification the scenario shows.
//
//	with KEY=VALUE                 an option of the test that plays it (registration=open, archive=off)
//	domain second.example          a further account domain
//	account carol                  carol has an account
//	alice is alice@example.org/phone   whom the actor alice is; otherwise alice@DOMAIN/alice
//	alice and bob are friends      each is subscribed to the other's presence; before they connect
//	alice opens a stream [in the clear]   connects and does not log in; what follows is up to the scenario. Otherwise it is encrypted
//	alice opens a stream by websocket   the same by WebSocket; what is sent then is a frame for each step, as it stands there
//	alice connects by websocket    also the stream is opened by the scenario
//	alice is refused a websocket for: xmpp2   another subprotocol comes to nothing
//	alice is refused TLS for: h2   direct TLS for another protocol comes to nothing
//	alice speaks: xmpp-client      what TLS has agreed on
//	alice logs in: mechanism=SCRAM-SHA-256-PLUS binding=tls-exporter   on an opened stream; both sides prove themselves, and a new stream is opened
//	alice fails to log in: mechanism=… hidden=…: WORDS   password=…, hidden=X,Y (somebody takes them out of the offer), tls=0303 (the client sees that
//	                               version), elsewhere (its TLS ends at somebody else); the failure says WORDS
//	alice connects [with sm]       logs in and binds a resource
//	alice comes online [with sm [and acknowledges nothing]]   connects, asks for the roster and becomes available
//	alice sends: XML
//	alice receives: XML            the next element; see Vars and match for the patterns
//	alice receives in any order: XML XML …
//	alice receives nothing         nothing has come, and nothing is on its way
//	alice is offered: XML          the features of the stream that was opened last; behind a login, those that follow it
//	alice is disconnected          the server has ended the stream; nothing else has come
//	alice disconnects              ends the stream in good order
//	alice drops                    loses the connection
//	alice resumes                  connects again and resumes the session (XEP-0198)
//	alice fails to resume: XML     what the server answers instead; the stream is good for a new session
//	alice does not acknowledge     asked by the server what it has got, the client is silent
//	server restarts
//	time passes 10m                the server's clock, which stands still in a scenario that has such a step
//	remote chat.example            another server, played by the scenario; its stanzas are seen as they are routed, with "from"
//	chat.example sends: XML        with "from" and "to"
//	chat.example receives: XML     the next stanza for this domain; and: receives nothing
//	chat.example is linked again   the route to it is there again after it was not
//
// Wherever XML stands, {alice.full}, {alice.bare} and {domain} have values.

// step is one step of a scenario.
type step struct {
	line int
	who  string // "" if nobody acts
	verb string // as in the table of verbs
	arg  string
}

// phrases are what can stand behind an actor's name, the longest first where one begins like another. The word in the second column is
// the verb.
var phrases = []struct {
	text string
	verb string
	arg  bool
}{
	{"comes online with sm and acknowledges nothing", "online-silent", false},
	{"comes online with sm", "online-sm", false},
	{"comes online", "online", false},
	{"opens a stream in the clear", "connect-clear", false},
	{"opens a stream by websocket", "connect-web-stream", false},
	{"opens a stream", "connect-stream", false},
	{"connects with sm", "connect-sm", false},
	{"connects by websocket", "connect-web", false},
	{"connects", "connect", false},
	{"sends:", "send", true},
	{"receives in any order:", "receive-any", true},
	{"receives:", "receive", true},
	{"receives nothing", "nothing", false},
	{"is disconnected", "gone", false},
	{"is offered:", "offered", true},
	{"is linked again", "linked", false},
	{"is refused TLS for:", "connect-not-tls", true},
	{"is refused a websocket for:", "connect-not-web", true},
	{"is ", "is", true},
	{"disconnects", "disconnect", false},
	{"drops", "drop", false},
	{"resumes", "resume", false},
	{"fails to resume:", "resume-fail", true},
	{"does not acknowledge", "hold", false},
	{"logs in:", "login", true},
	{"fails to log in:", "login-fail", true},
	{"speaks:", "speaks", true},
	{"and ", "friends", true},
}

// parseScript reads a scenario.
func parseScript(text string) (cites string, steps []step, err error) {
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "#"):
			if cites == "" {
				cites = strings.TrimSpace(trimmed[1:])
			}
		case trimmed == "":
		case line[0] == ' ' || line[0] == '\t':
			if len(steps) == 0 {
				return "", nil, fmt.Errorf("line %d belongs to no step", i+1)
			}
			steps[len(steps)-1].arg += "\n" + trimmed
		default:
			st, err := parseStep(trimmed)
			if err != nil {
				return "", nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			st.line = i + 1
			steps = append(steps, st)
		}
	}
	if !strings.Contains(cites, "§") && !strings.Contains(cites, "XEP-") {
		return "", nil, fmt.Errorf("the first comment does not say which section this shows")
	}
	return cites, steps, nil
}

func parseStep(line string) (step, error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "with", "domain", "account", "remote":
		return step{verb: word, arg: rest}, nil
	case "time":
		word, arg, _ := strings.Cut(rest, " ")
		return step{verb: "time " + word, arg: arg}, nil
	case "server":
		return step{verb: "server " + rest}, nil
	}
	for _, p := range phrases {
		after, ok := strings.CutPrefix(rest, p.text)
		if !ok || !p.arg && strings.TrimSpace(after) != "" {
			continue
		}
		return step{who: word, verb: p.verb, arg: strings.TrimSpace(after)}, nil
	}
	return step{}, fmt.Errorf("%q is no step", line)
}
