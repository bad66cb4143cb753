//go:build ignore

package main

import _ "example.org/house/core/modules/muc"

var n int

func main() { n = 1 }
