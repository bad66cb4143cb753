package sqlite

import (
	"database/sql/driver"
	"time"
)

// The functions of this file read and write single values: NULL is the zero value of a type, a time is milliseconds since 1970.

func integer(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func text(v driver.Value) string {
	s, _ := v.(string)
	return s
}

func blob(v driver.Value) []byte {
	b, _ := v.([]byte)
	return b
}

func boolean(v driver.Value) bool { return integer(v) != 0 }

func when(v driver.Value) time.Time {
	ms := integer(v)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// nullable stores an empty value as NULL, as which the driver may bind it anyway.
func nullable(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func limitOf(n int) int {
	if n <= 0 {
		return 100
	}
	return n
}
