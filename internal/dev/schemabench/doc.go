// Command schemabench measures the candidates for the message schema of core/storage/sqlite. Its figures are the reason for
// docs/adr/0001-storage-schema.md; run it again before changing that schema.
//
// It writes messages in groups, each group one transaction in WAL mode with synchronous=FULL, through the same driver calls as the
// backend, and prints the process's CPU seconds (getrusage, user and system, checkpoints included) per 100,000 messages. It knows
// nothing of core/storage but for the last rows, which go through core/storage/sqlite itself: every candidate is here as plain SQL, also
// those that were not chosen.
//
// Goroutines: one that checkpoints, ended before a measurement is read.
//
//	go run ./internal/dev/schemabench                              # every layout, empty
//	go run ./internal/dev/schemabench -owners 10000 -preload 1000000 -layouts refs,copy
//	go run ./internal/dev/schemabench -layouts refs -dedupe none,hash,hour,owner
//	go run ./internal/dev/schemabench -layouts refs -pages 2048,4096,8192
package main
