package discordid

import (
	"strconv"
	"strings"
	"time"
)

// Epoch is the first second of 2015 in milliseconds, where snowflakes begin.
const Epoch = 1420070400000

// Valid reports whether s is a snowflake: the decimal digits of an unsigned
// 64-bit number, spelt in the one way Discord spells it.
func Valid(s string) bool {
	if s == "" || len(s) > 20 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return false
	}
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// Time is when an id was made; zero for what is no snowflake.
func Time(id string) time.Time {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(n>>22) + Epoch).UTC()
}

// At is the least snowflake of a moment: an `after` or `before` for reading.
func At(t time.Time) string {
	ms := max(t.UnixMilli()-Epoch, 0)
	return strconv.FormatUint(uint64(ms)<<22, 10)
}

// Compare orders snowflakes by age, the oldest first; "" is older than all.
func Compare(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Max is the younger of two.
func Max(a, b string) string {
	if Compare(a, b) < 0 {
		return b
	}
	return a
}
