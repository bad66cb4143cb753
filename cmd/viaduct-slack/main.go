// Command viaduct-slack is the Slack bridge as a plugin. The server starts it;
// nothing is done with it by hand, except "viaduct-slack info".
package main

import (
	"github.com/viaduct-xmpp/viaduct/bridges/slack"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
)

func main() { grpcbridge.Serve(slack.New(slack.Options{}), grpcbridge.ServeOptions{}) }
