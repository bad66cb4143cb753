// Package other is another bridge.
package other
