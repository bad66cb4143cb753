// Event begins with the wrong word. // want "does not begin with .Package event ."
package event

import _ "example.org/house/core/journal"
