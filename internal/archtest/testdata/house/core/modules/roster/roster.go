// Package roster has state that changes, and starts by itself.
package roster

import (
	_ "embed"
	"errors"
	"flag"
	"regexp"
	"sync"
	"sync/atomic"
)

// ErrNone and what follows it never change.
var ErrNone = errors.New("roster: none")

var (
	pattern = regexp.MustCompile("a+")
	buffers = sync.Pool{New: func() any { return new([]byte) }}
	names   = map[string]int{"a": 1}
	once    = sync.OnceValue(func() int { return 1 })
	//go:embed roster.go
	source []byte
	zero   struct{ a int }
)

var (
	mu      sync.Mutex            // want "mu is a sync.Mutex"
	count   atomic.Int64          // want "count is a atomic.Int64"
	current atomic.Pointer[int]   // want "current is a atomic.Pointer"
	cache   = map[string]string{} // want "cache is a map without content"
	made    = make(map[int]int)   // want "made is make"
	list    []string              // want "list is a slice without content"
	wake    chan int              // want "wake is a channel"
	last    int
	point   = &struct{ x int }{}
)

func init() {} // want "func init"

type thing struct{ last int }

func (t *thing) init() { t.last = 1 }

// Change changes package variables, and local ones of the same name.
func Change(last2 int) {
	last = last2                   // want "changes the package variable last"
	last++                         // want "changes the package variable last"
	point.x = 1                    // want "changes the package variable point"
	names["b"] = 2                 // want "changes the package variable names"
	delete(names, "a")             // want "changes the package variable names"
	flag.Usage = nil               // want "changes the variable Usage of package flag"
	for _, last = range []int{1} { // want "changes the package variable last"
	}
	{
		last := 1
		last++
		names := map[string]int{}
		names["c"] = last
	}
}
