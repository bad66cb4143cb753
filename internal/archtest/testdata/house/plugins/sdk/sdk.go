// Package sdk is the standard library only.
package sdk

import (
	_ "example.org/house/plugins/grpcbridge" // want "plugins/sdk imports plugins/grpcbridge"
	_ "golang.org/x/text"                    // want "plugins/sdk imports golang.org/x/text"
)
