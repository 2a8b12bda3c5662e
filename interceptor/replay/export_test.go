package replay

import "context"

// Sweep does what Run does once a minute.
func (s *Store) Sweep(ctx context.Context) error { return s.sweep(ctx) }
