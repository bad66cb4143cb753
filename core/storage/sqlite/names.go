package sqlite

// names caches the integers of a table of names (owner, peer). It keeps the names of the present and the past generation, so it is bounded
// and what is in use stays. Only the writer uses it; what a rollback takes back is dropped.
type names struct{ now, past map[string]int64 }

const namesPerGeneration = 50_000

func newNames() *names { return &names{now: map[string]int64{}} }

func (n *names) get(name string) (int64, bool) {
	if id, ok := n.now[name]; ok {
		return id, true
	}
	id, ok := n.past[name]
	if ok {
		n.add(name, id)
	}
	return id, ok
}

func (n *names) add(name string, id int64) {
	if len(n.now) >= namesPerGeneration {
		n.past, n.now = n.now, make(map[string]int64, namesPerGeneration)
	}
	n.now[name] = id
}

func (n *names) drop(names ...string) {
	for _, name := range names {
		delete(n.now, name)
		delete(n.past, name)
	}
}
