// Package mappings says who is whom and what is what between XMPP and a foreign network, as pure functions: the one codec of addresses
// ([Codec]), what nick a remote person gets ([Nick], [Skeleton]), how presence and rights correspond, and the XMPP side of messages (XEP-0393,
// XEP-0394 and XHTML-IM to and from plugins/sdk/richtext; replies, corrections, reactions, retractions, references).
//
// It is not the gateway: it keeps nothing, asks nobody and knows no network by name. What differs between networks is data that the plugin
// brings (sdk.AddressShape, sdk.Capabilities).
//
// Everything that reads foreign bytes here is bounded and fuzzed. No goroutines, no state; all of it may be used concurrently.
//
// Addresses are for ever: testdata/addresses.golden is frozen. A test that wants another address for the same id is wrong.
//
// Specifications: XEP-0106, XEP-0308, XEP-0372, XEP-0382, XEP-0393, XEP-0394, XEP-0424, XEP-0428, XEP-0444, XEP-0461, XEP-0066, XEP-0447,
// XEP-0071 (reading only).
//
//	c, _ := mappings.NewCodec(shape, "matrix.example.org", "rooms.matrix.example.org")
//	a, _ := c.Room("!QtyK:hs")      // !qtyk~9%hs@rooms.matrix.example.org
//	k, id, _ := c.Decode(a.JID)     // KindRoom, "!QtyK:hs"
package mappings
