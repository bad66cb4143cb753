// Package configs knows a network.
package configs

import (
	_ "example.org/house/bridges/acme" // want "configs imports bridges/acme"
	_ "gopkg.in/yaml.v3"
)
