// Package slacktest is a Slack for tests, over real HTTP and WebSocket, written from
// Slack's documentation: the Web API methods that a bridge uses, in form, query and
// JSON; Socket Mode with hello, envelopes, acknowledgements, re-delivery and
// disconnects; scopes that are enforced; files with the external upload. People of the
// workspace act through the methods of [Server], or through the Web API with the token
// that AddUser gives them. It can fail on demand: rate limits per method, envelopes that
// are late, repeated or lost, HTML in place of JSON, connections that are reset before
// or after the work was done. It records every call and acknowledgement for those who
// judge.
//
// Where the documentation leaves something open it takes the side that is worse for a
// bridge: an event without a connection is lost, metadata is in no event, two
// connections take events in turns, a file's shares may come late.
//
// Its goroutines are those of its HTTP server, one for each socket and the timers of
// envelopes; Close ends them.
//
// Specification: docs.slack.dev, "Web API", "Using Socket Mode", "The Events API", the
// pages of the methods and events named in the files here.
//
//	s := slacktest.New(slacktest.Options{})
//	defer s.Close()
//	ada, general := s.AddUser("ada", "Ada"), s.AddChannel("general")
//	s.Join(general, ada)
//	ts := s.Say(general, ada, "hello")
package slacktest
