package muc

import (
	"fmt"
	"slices"
	"time"
)

// Config is the section rooms of the configuration file. A value of 0 takes the default.
type Config struct {
	// Create says who may create rooms: local (accounts of this server), anyone (also people of other servers) or nobody. Default local.
	Create string `yaml:"create"`
	// PerAccount is how many rooms that stay when everybody has left one person may keep. Default 100; -1 is without bound.
	PerAccount int `yaml:"per_account"`
	// JoinsPerMinute is how many people of other servers may enter one room in a minute. Default 600; -1 is without bound.
	JoinsPerMinute int `yaml:"joins_per_minute"`
	// PresencesPerMinute is how many changes of availability of one occupant are shown to the others in a minute. Default 30; -1 is without bound.
	PresencesPerMinute int `yaml:"presences_per_minute"`
	// SilentMinutes is after how much silence an occupant of another server is asked whether she is still there. Default 15.
	SilentMinutes int `yaml:"silent_minutes"`
	// Ownerless says what becomes of a room when the account of its only owner is deleted. heir: an admin of the room becomes its owner, and
	// without one it waits for an administrator of the server. destroy: the same, but without an admin it ends as soon as nobody is in it. keep: it
	// waits for an administrator. Default heir.
	Ownerless string `yaml:"ownerless"`
}

// WithDefaults returns the configuration with the defaults filled in.
func (c Config) WithDefaults() Config {
	if c.Create == "" {
		c.Create = string(CreateLocal)
	}
	if c.Ownerless == "" {
		c.Ownerless = string(OrphanHeir)
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&c.PerAccount, 100}, {&c.JoinsPerMinute, 600}, {&c.PresencesPerMinute, 30}, {&c.SilentMinutes, 15}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// Check tells what is wrong with it.
func (c Config) Check() error {
	if p := CreatePolicy(c.Create); !slices.Contains([]CreatePolicy{CreateLocal, CreateAnyone, CreateNobody}, p) {
		return fmt.Errorf("create is local, anyone or nobody, not %q", c.Create)
	}
	if p := OrphanPolicy(c.Ownerless); !slices.Contains([]OrphanPolicy{OrphanHeir, OrphanDestroy, OrphanKeep}, p) {
		return fmt.Errorf("ownerless is heir, destroy or keep, not %q", c.Ownerless)
	}
	if c.SilentMinutes < 1 {
		return fmt.Errorf("silent_minutes is at least 1")
	}
	return nil
}

// Apply puts it into the options of the module.
func (c Config) Apply(o *Options) {
	o.Create, o.PerAccount, o.JoinsPerMinute = CreatePolicy(c.Create), c.PerAccount, c.JoinsPerMinute
	o.Ownerless = OrphanPolicy(c.Ownerless)
	o.Silent = time.Duration(c.SilentMinutes) * time.Minute
	if o.Shows.Size = -1; c.PresencesPerMinute > 0 {
		o.Shows.Size, o.Shows.Every = 5, time.Minute/time.Duration(c.PresencesPerMinute)
	}
}
