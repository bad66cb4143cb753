// Package durability tests the first promise from outside, on the built program: what the server has acknowledged survives, and is shown once.
//
//   - TestKillUnderLoad kills the server with SIGKILL while people write, restarts it on the same data and asks the people what they
//     were promised and what they got (20 times; TestSoakKill: 1,000 times).
//   - TestKillOfRoomsNodesAndFiles does so while people speak in a room, publish and upload, and asks the room's archive, the nodes and the
//     links; between two starts it looks at the folder of the files (5 times; TestSoakKillOfRoomsNodesAndFiles: 200 times).
//   - TestSyncBeforeAck runs the server under strace and looks, for each acknowledged message and each confirmed iq, for the fdatasync
//     that returned after the last write of its row and before the client had the acknowledgement.
//
// The database is not asked. It is a package of tests; [Client] is what they share.
package durability
