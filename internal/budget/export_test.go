package budget

// Waits reports whether n bodies wait.
func (b *Budget) Waits(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting) == n
}
