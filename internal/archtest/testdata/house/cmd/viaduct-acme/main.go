// Package main should call itself a command. // want "does not begin with .Command ."
package main

import (
	_ "example.org/house/bridges/acme"
	_ "example.org/house/bridges/other" // want "cmd/viaduct-acme imports bridges/other"
)

func main() {}
