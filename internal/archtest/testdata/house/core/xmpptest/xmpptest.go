// Package xmpptest is for tests.
package xmpptest

import _ "testing"
