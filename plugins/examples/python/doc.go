// Package python is viaduct-echo, a bridge in Python to a network that is a folder:
// the example for whoever writes a plugin in another language, made after
// docs/plugin-protocol.md. Its Go part is only the test that it passes plugintest;
// without python3-grpcio and python3-protobuf of Debian, or the variable
// VIADUCT_INTEROP_PYTHON, that test is skipped.
//
//   - viaduct-echo: the bridge, about 300 lines
//   - lanes.py: handshake, streams, flow rules, files; to be copied as it is
//   - folder.py: the network
//   - contract.py, bridge_v1.desc: the messages, written by internal/dev/protogen
//
// In the server's configuration:
//
//	bridges:
//	  - name: folder
//	    plugin: /path/of/plugins/examples/python/viaduct-echo
//	    transport: socket
//	    config:
//	      folder: /var/lib/folder
package python
