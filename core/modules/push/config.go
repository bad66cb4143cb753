package push

import (
	"fmt"
	"time"
)

// Config says whether devices are woken, and what their services are told: push in the configuration file.
type Config struct {
	// On lets clients have their devices woken through the services of their apps (XEP-0357).
	On bool `yaml:"on"`
	// Devices is how many an account may have; of more, the one that was enabled longest ago goes. Default 10.
	Devices int `yaml:"devices"`
	// Sender tells the services who has written. They belong to others: off unless people want it.
	Sender bool `yaml:"sender"`
	// Body tells the services what was written, if it is not encrypted. They belong to others: off unless people want it.
	Body bool `yaml:"body"`
}

// DefaultConfig wakes devices and tells nobody why.
func DefaultConfig() Config { return Config{On: true, Devices: defaultDevices} }

// Check tells what in it cannot be.
func (c Config) Check() error {
	if c.Devices < 0 || c.Devices > maxDevices {
		return fmt.Errorf("devices: %d is no number from 1 to %d", c.Devices, maxDevices)
	}
	return nil
}

// Options is what the configuration means for the module.
func (c Config) Options() Options {
	return Options{Off: !c.On, Devices: c.Devices, Sender: c.Sender, Body: c.Body}
}

const (
	defaultDevices = 10
	maxDevices     = 100
)

// Options of the module; zero values take the defaults.
type Options struct {
	Off          bool // there is no push at all
	Devices      int  // of an account; 10
	Sender, Body bool // what services are told

	Gap      time.Duration // between two notifications of a device; 2 s, negative: none
	Timeout  time.Duration // of a service's answer; 30 s
	Backoff  time.Duration // after the first failure; 30 s
	Failures int           // in a row, after which a device is removed; 20
}

// maxBackoff is the longest time between two attempts.
const maxBackoff = 6 * time.Hour

func (o *Options) fill() {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Devices, defaultDevices}, {&o.Failures, 20}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Timeout, 30 * time.Second}, {&o.Backoff, 30 * time.Second}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Gap == 0 {
		o.Gap = 2 * time.Second
	}
}
