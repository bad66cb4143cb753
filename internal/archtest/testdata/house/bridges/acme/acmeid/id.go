// Package acmeid is pure, but for one import.
package acmeid

import _ "example.org/house/plugins/sdk" // want "bridges/acme/acmeid imports plugins/sdk"
