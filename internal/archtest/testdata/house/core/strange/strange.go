// Package strange stands in no row. // want "core/strange is in no row"
package strange

import "C" // want "imports C"
