package archive

import (
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// Config says what is kept, and how much of it: archive in the configuration file.
type Config struct {
	// People keeps the messages of and to accounts.
	People bool `yaml:"people"`
	// Rooms keeps the messages of rooms.
	Rooms bool `yaml:"rooms"`
	// Search lets people look for words in what is kept (XEP-0431); the index takes about as much room as the words.
	Search bool `yaml:"search"`
	// Default is what is kept for accounts that have not said it themselves (XEP-0441): always, never, or roster for the people in their contact lists.
	Default string `yaml:"default"`
	// Keep is how much each account and each room keeps; 0 is without bound. What is beyond goes, oldest first, all the time.
	Keep KeepConfig `yaml:"keep"`
	// Exceptions keep more or less for a domain, an account or a room.
	Exceptions []Exception `yaml:"exceptions"`
	// Total is how much all archives and rooms keep together; 0 is without bound. What is beyond goes, the oldest of all first, whatever keep and
	// exceptions say. A message that two people keep counts twice.
	Total TotalConfig `yaml:"total"`
	// Totals are how much all archives of one domain keep together.
	Totals []DomainTotal `yaml:"totals"`
}

// TotalConfig bounds many archives together.
type TotalConfig struct {
	// Messages is how many there may be.
	Messages int `yaml:"messages"`
	// Bytes is how large they may be together.
	Bytes int `yaml:"bytes"`
}

// DomainTotal bounds the archives of a domain together.
type DomainTotal struct {
	// Of is a domain of accounts or of rooms.
	Of string `yaml:"of"`
	// Messages is how many there may be.
	Messages int `yaml:"messages"`
	// Bytes is how large they may be together.
	Bytes int `yaml:"bytes"`

	// Line is where the entry begins in the file.
	Line int `yaml:"-"`
}

// KeepConfig bounds an archive.
type KeepConfig struct {
	// Days is how old messages may become.
	Days int `yaml:"days"`
	// Messages is how many there may be.
	Messages int `yaml:"messages"`
	// Bytes is how large they may be together.
	Bytes int `yaml:"bytes"`
}

// Exception bounds the archives of one domain or address in another way; what it leaves out is as for its domain, or as for all.
type Exception struct {
	// Of is a domain (of accounts or of rooms), or the address of an account or a room.
	Of string `yaml:"of"`
	// Days is how old messages may become.
	Days int `yaml:"days"`
	// Messages is how many there may be.
	Messages int `yaml:"messages"`
	// Bytes is how large they may be together.
	Bytes int `yaml:"bytes"`
	// All keeps what is not bounded here without bound, whatever holds for others.
	All bool `yaml:"all"`

	// Line is where the entry begins in the file.
	Line int `yaml:"-"`
}

// DefaultConfig keeps everything.
func DefaultConfig() Config {
	return Config{People: true, Rooms: true, Search: true, Default: string(Always)}
}

// Check tells what in it cannot be, and in which line of the file (0: in no particular one).
func (c Config) Check() (line int, err error) {
	if !Policy(c.Default).valid() {
		return 0, fmt.Errorf("default: %q is unknown; use always, never or roster", c.Default)
	}
	seen := map[string]int{}
	for i, e := range c.Exceptions {
		j, err := jid.Parse(e.Of)
		if err != nil || !j.IsBare() {
			return e.Line, fmt.Errorf("exceptions: %q is neither a domain nor an address such as room@rooms.example.org", e.Of)
		}
		if first, dup := seen[j.String()]; dup {
			return e.Line, fmt.Errorf("exceptions: %s stands there twice; the first is in line %d", j, first)
		}
		seen[j.String()] = e.Line
		c.Exceptions[i].Of = j.String()
	}
	clear(seen)
	for i, t := range c.Totals {
		j, err := jid.Parse(t.Of)
		if err != nil || !j.IsBare() || j.HasLocal() {
			return t.Line, fmt.Errorf("totals: %q is no domain", t.Of)
		}
		if first, dup := seen[j.String()]; dup {
			return t.Line, fmt.Errorf("totals: %s stands there twice; the first is in line %d", j, first)
		}
		if t.Messages == 0 && t.Bytes == 0 {
			return t.Line, fmt.Errorf("totals: %s has neither messages nor bytes", j)
		}
		seen[j.String()] = t.Line
		c.Totals[i].Of = j.String()
	}
	return 0, nil
}

func keepOf(days, messages, bytes int, all bool) Keep {
	k := Keep{Age: time.Duration(min(days, 36500)) * 24 * time.Hour, Messages: messages, Bytes: int64(bytes)}
	if all {
		k = k.over(Keep{Age: -1, Messages: -1, Bytes: -1})
	}
	return k
}

// Options is what the configuration means for the module.
func (c Config) Options() Options {
	o := Options{NoPeople: !c.People, Default: Policy(c.Default)}
	o.Keep.Keep = keepOf(c.Keep.Days, c.Keep.Messages, c.Keep.Bytes, false)
	o.Keep.Of = map[string]Keep{}
	for _, e := range c.Exceptions {
		o.Keep.Of[e.Of] = keepOf(e.Days, e.Messages, e.Bytes, e.All)
	}
	o.Keep.Total = Total{c.Total.Messages, int64(c.Total.Bytes)}
	o.Keep.TotalOf = map[string]Total{}
	for _, t := range c.Totals {
		o.Keep.TotalOf[t.Of] = Total{t.Messages, int64(t.Bytes)}
	}
	return o
}
