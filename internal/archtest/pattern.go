package archtest

import "strings"

// A pattern names packages below the module: segments between slashes, where "*" in a segment stands for
// any text without a slash, and "..." at the end for the package and everything below it. What the first
// "*" matched is "$1" further on in the pattern, and in the patterns of the same rule's other columns.

// match says whether the pattern names p, and what its first "*" stood for.
func match(pattern, p string) (first string, ok bool) {
	want := strings.Split(pattern, "/")
	got := strings.Split(p, "/")
	for i, w := range want {
		if w == "..." && i == len(want)-1 {
			return first, true
		}
		if i >= len(got) {
			return "", false
		}
		w = strings.ReplaceAll(w, "$1", first)
		before, after, star := strings.Cut(w, "*")
		if !star {
			if w != got[i] {
				return "", false
			}
			continue
		}
		mid, okBefore := strings.CutPrefix(got[i], before)
		mid, okAfter := strings.CutSuffix(mid, after)
		if !okBefore || !okAfter || mid == "" {
			return "", false
		}
		if first == "" {
			first = mid
		}
	}
	return first, len(want) == len(got)
}

// matchAny says whether one of the patterns names p, with $1 replaced by first.
func matchAny(patterns []string, first, p string) bool {
	for _, pattern := range patterns {
		if _, ok := match(strings.ReplaceAll(pattern, "$1", first), p); ok {
			return true
		}
	}
	return false
}
