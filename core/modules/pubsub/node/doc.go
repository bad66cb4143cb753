// Package node holds the rules of publish-subscribe nodes: their configuration and its forms (XEP-0060 §16.4, XEP-0248 §7), affiliations (§4.1),
// who may do what under each access and publish model (§4.5), the options of subscriptions (§6.3), preconditions of a publication (§7.1.5), and the
// errors.
//
// What it is not: it reads no store, knows no roster and sends nothing. Who somebody is to a node comes in as a [Relation].
//
// Specifications: XEP-0060, XEP-0248.
//
// Goroutines: none; the values are plain data.
//
//	c, err := cfg.Submit(form, node.Limits{MaxItems: 10000})
//	err = c.MayRetrieve(node.Relation{Affiliation: node.Member})
package node
