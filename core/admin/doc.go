// Package admin is the administration of the server: one file per group of commands, and what carries them.
//
// A [Command] says its name, arguments and flags, who may run it, and has one function. The same command is a line of the command line
// (through the unix socket admin.sock of a running server, or in the process of the command line while the server is stopped), an ad-hoc
// command and a call of the HTTP API; the reference in docs/admin.md is generated from the table. Nothing is administered in another way.
//
// A command works on small interfaces ([Accounts], [Rooms], [Backups] …) that are given to its constructor, so the table is put together
// by whoever has them (internal/appliance; bridges/gateway/admincmd adds the commands of bridges).
//
// The socket speaks HTTP: POST /v1/run with a [Call] as JSON; the answer is a stream of JSON lines, [Event]s: progress while it works, then one
// with the result or the error. Whoever may open the socket (mode 0600 in the data directory) is an administrator.
//
// It listens nowhere itself: core/httpd serves [Handler] on the socket.
//
// Goroutines: none; a call runs in its connection's.
package admin
