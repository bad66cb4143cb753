// Package host runs plugins.
package host

import _ "testing" // want "cmd/viaduct links testing .cmd/viaduct -> bridges/gateway -> plugins/host."
