// Package rooms is a part of the module.
package rooms
