package rejoin

import (
	"fmt"
	"time"
)

// Config is the section rejoin of the configuration file. A value of 0 takes the default.
type Config struct {
	// Off leaves it to each client to notice that a room of another server has lost it.
	Off bool `yaml:"off"`
	// SilentMinutes is after how much silence a room is asked whether the person is still in it. Default 10.
	SilentMinutes int `yaml:"silent_minutes"`
	// Messages is how many missed messages are fetched from a room's archive at most. Default 500.
	Messages int `yaml:"messages"`
	// Days is how old they may be. Default 7.
	Days int `yaml:"days"`
}

// WithDefaults returns the configuration with the defaults filled in.
func (c Config) WithDefaults() Config {
	for _, d := range []struct {
		field *int
		value int
	}{{&c.SilentMinutes, 10}, {&c.Messages, 500}, {&c.Days, 7}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// maxMessages bounds what an administrator may choose: the ids of what was fetched are kept until the gap is closed.
const maxMessages = 10_000

// Check tells what is wrong with it.
func (c Config) Check() error {
	switch {
	case c.SilentMinutes < 1:
		return fmt.Errorf("silent_minutes is at least 1")
	case c.Messages < 1 || c.Messages > maxMessages:
		return fmt.Errorf("messages is from 1 to %d", maxMessages)
	case c.Days < 1:
		return fmt.Errorf("days is at least 1")
	}
	return nil
}

// Options returns those of the module.
func (c Config) Options() Options {
	return Options{Off: c.Off, Silent: time.Duration(c.SilentMinutes) * time.Minute, Messages: c.Messages, Age: time.Duration(c.Days) * 24 * time.Hour}
}

// Options of the module; zero values take the defaults.
type Options struct {
	Off      bool
	Silent   time.Duration // how long a room may be silent; 10 minutes
	Messages int           // fetched for one gap; 500
	Age      time.Duration // of what is fetched; 7 days
	// Rooms of one session and Seats of the server that are watched; 200 and 100,000.
	Rooms, Seats int
	// Occupants whose presence is remembered in one seat and in all; 2,000 and 2,000,000.
	Occupants, AllOccupants int
	// Held is how many messages wait in one seat, HeldBytes how large they are, AllHeldBytes in all seats; 200, 256 KiB, 64 MiB.
	Held, HeldBytes, AllHeldBytes int
	// Pings is how many are under way at once; 500.
	Pings int
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Messages, 500}, {&o.Rooms, 200}, {&o.Seats, 100_000}, {&o.Occupants, 2000}, {&o.AllOccupants, 2_000_000},
		{&o.Held, 200}, {&o.HeldBytes, 256 << 10}, {&o.AllHeldBytes, 64 << 20}, {&o.Pings, 500}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Silent <= 0 {
		o.Silent = 10 * time.Minute
	}
	if o.Age <= 0 {
		o.Age = 7 * 24 * time.Hour
	}
	return o
}

// Bounds that nobody has reason to change.
const (
	pageSize     = 50               // messages of one page of an archive
	answerTime   = time.Minute      // for each question, and for entering
	firstPause   = 15 * time.Second // before the second attempt; each pause is twice the one before
	longestPause = 4 * time.Minute  //
	maxTries     = 7                // attempts to enter: about a quarter of an hour
	maxConflicts = 4                // the nick twice, then with _ and with __
	maxHealed    = 6                // times within an hour
	healedWithin = time.Hour        //
	soonest      = 30 * time.Second // between two pings that something gave reason for
	maxID        = 256              // bytes of an id of a room's archive
	maxShown     = 4 << 10          // bytes of the presence of a client that are kept
	recents      = 32               // messages that are recognised without an id
	maxKept      = 256 << 10        // bytes that are kept with a session across a stop
)
