// Package rsm is the codec of result set management (XEP-0059): a request for a page and the description of the page that was given.
//
// It reads and writes the <set/> element and cuts pages out of lists that are in memory ([Slice]); a list that is in the store is cut by the
// store. Item keys are opaque strings of whoever answers; they are never shown to a query language.
//
// Goroutines: none; the values are plain data.
//
//	req, err := rsm.Parse(query)
//	page, res, err := rsm.Slice(items, func(i Item) string { return i.JID.String() }, req, 100)
package rsm
