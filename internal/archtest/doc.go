// Package archtest guards the house: its tests read the sources of the whole module with go/parser, in
// process, and fail where the architecture does not hold.
//
// What is checked: the dependency rule (rules.go, the table of docs/ARCHITECTURE.md), which library may be
// imported where (thirdparty.go), what each binary may link, who may dial and listen, a doc comment for
// every package, no init functions, no package variables that change, and the size of files. Long
// functions, packages and files are reported with -v and fail only at a size that nobody reads.
//
// It is not a linter: style belongs to golangci-lint, and nothing here needs types from outside of one
// package, so that it runs in a second without a build. It starts no goroutines. The package has no users
// but its own tests, which try the checks on small trees under testdata first, so that a check that finds
// nothing is one that could have.
//
// To see the reports:
//
//	go test -v ./internal/archtest
package archtest
