// Package caps learns what sessions can do from the capabilities in their presence (XEP-0115, XEP-0390): the server asks one of those that announce
// a hash which it does not know, checks that the answer has that hash, and then knows it of all of them.
//
// What is known is kept under protocol, algorithm and hash, so that nobody can say something in another's name (attacks row 30): hashes of XEP-0115
// and of XEP-0390 never stand for each other, an answer that does not have the hash counts for nobody but the session that gave it, and one whose
// XEP-0115 hash could stand for another answer too is not kept. If one session does not answer properly, the next that announces the same is asked.
//
// What it is not: it answers no discovery (core/modules/disco) and decides nothing: publish-subscribe asks it who wants which notifications.
//
// Nothing is durable: after a start it is learnt again, with one question for each hash. What is kept is bounded: hashes, sessions of other servers,
// and questions under way. Of these one account, and one other server, has a share only, and with a full table the oldest gives way: hashes that
// somebody makes up and never answers for do not stop those of others from being learnt.
//
// Specifications: XEP-0115 (processing), XEP-0390 (processing).
//
// Goroutines: none of its own. Answers are taken in one journal.Queue.
//
//	modules = append(modules, caps.New(caps.Options{}))
package caps
