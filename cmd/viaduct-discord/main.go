// Command viaduct-discord is the Discord bridge as a plugin. The server starts it;
// nothing is done with it by hand, except "viaduct-discord info".
package main

import (
	"github.com/viaduct-xmpp/viaduct/bridges/discord"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
)

func main() { grpcbridge.Serve(discord.New(discord.Options{}), grpcbridge.ServeOptions{}) }
