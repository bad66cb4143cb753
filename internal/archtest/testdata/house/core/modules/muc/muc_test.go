package muc

import (
	"net"
	"testing"

	_ "example.org/house/core/modules/roster"
	_ "example.org/house/core/xmpptest"
	_ "github.com/google/go-cmp/cmp"
)

func TestMayDial(t *testing.T) { _, _ = net.Dial("tcp", "127.0.0.1") }
