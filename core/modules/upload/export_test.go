package upload

import "context"

// Sweep removes what has expired.
func (m *Module) Sweep(ctx context.Context) error { return m.sweep(ctx) }

// SweepOrphans removes old bodies that are no file's.
func (m *Module) SweepOrphans(ctx context.Context) (int, error) { return m.sweepOrphans(ctx) }
