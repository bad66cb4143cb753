// Package transport carries bytes: it listens, dials, upgrades to TLS, reads
// with limits and deadlines, and writes what has gathered.
//
// It knows no XML and no sessions. A stream state machine gives [Listeners] a
// function that is called with each [Conn], feeds a decoder from
// [Conn.ReadLoop], and lets a [Writer] pull from the session's ring.
//
// What an idle connection costs is the reason for its shape. A connection that
// waits owns no read buffer: it reads from the kernel into a pooled buffer only
// when there is something to read, and under TLS it parks again only when a
// whole record has been decrypted and nothing is left over. crypto/tls is given
// at most the rest of one record at a time, so that it never holds bytes that
// nobody will wake up for. Half a record is kept in a slice of its own size.
//
// Goroutines: each listener has one, each connection one (its reader, started
// anew after a TLS handshake so that its stack is small), and a second one only
// while there is something to write; up to 256 of these wait for the next
// connection that writes. All are started through [Conn.Go] or by [Listeners],
// which waits for them in Stop. A Conn that was dialled belongs to
// its caller.
//
// Specifications: RFC 6120 §5 (STARTTLS), XEP-0368 (direct TLS), RFC 8446 §5.1
// (records).
//
//	l := transport.NewListeners(transport.Options{PerIP: 50})
//	err := l.Listen(ctx, transport.Spec{Key: "listen.c2s", Addrs: []string{":5222"}, Serve: serve})
//	defer l.Stop(ctx)
//
//	func serve(ctx context.Context, c *transport.Conn) {
//		err := c.ReadLoop(ctx, func(p []byte) (idle bool, err error) { ... })
//	}
package transport
