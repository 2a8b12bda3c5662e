package callers

// Bounds for tests.
const MaxEntries = maxEntries

// Len returns the number of triggers that are remembered.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
