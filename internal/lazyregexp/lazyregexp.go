// Package lazyregexp has regular expressions that are compiled when they are first used.
//
// A program compiles those of its package variables before main starts. All of them together took
// a third of the time in which a command of tekgate ends, and most commands use only a few.
// regexp.MustCompile has one advantage: a program with an invalid expression never starts. New keeps
// it where it is needed, in tests.
package lazyregexp

import (
	"regexp"
	"sync"
	"testing"
)

// Regexp is a regular expression. Its methods are those of [regexp.Regexp], and safe for concurrent
// use as they are.
type Regexp struct {
	expression string
	once       sync.Once
	compiled   *regexp.Regexp
}

// New returns a regular expression that is compiled at its first use, and in tests at once. An
// expression that is invalid panics when it is compiled, so it fails every test of its package.
func New(expression string) *Regexp {
	r := &Regexp{expression: expression}
	if testing.Testing() {
		r.get()
	}
	return r
}

func (r *Regexp) get() *regexp.Regexp {
	r.once.Do(func() { r.compiled = regexp.MustCompile(r.expression) })
	return r.compiled
}

// String returns the expression.
func (r *Regexp) String() string { return r.expression }

// Match is [regexp.Regexp.Match].
func (r *Regexp) Match(text []byte) bool { return r.get().Match(text) }

// MatchString is [regexp.Regexp.MatchString].
func (r *Regexp) MatchString(text string) bool { return r.get().MatchString(text) }

// FindIndex is [regexp.Regexp.FindIndex].
func (r *Regexp) FindIndex(text []byte) []int { return r.get().FindIndex(text) }

// FindString is [regexp.Regexp.FindString].
func (r *Regexp) FindString(text string) string { return r.get().FindString(text) }

// FindStringSubmatch is [regexp.Regexp.FindStringSubmatch].
func (r *Regexp) FindStringSubmatch(text string) []string { return r.get().FindStringSubmatch(text) }

// FindAllString is [regexp.Regexp.FindAllString].
func (r *Regexp) FindAllString(text string, n int) []string { return r.get().FindAllString(text, n) }

// FindAllStringIndex is [regexp.Regexp.FindAllStringIndex].
func (r *Regexp) FindAllStringIndex(text string, n int) [][]int {
	return r.get().FindAllStringIndex(text, n)
}

// FindAllStringSubmatch is [regexp.Regexp.FindAllStringSubmatch].
func (r *Regexp) FindAllStringSubmatch(text string, n int) [][]string {
	return r.get().FindAllStringSubmatch(text, n)
}

// FindAllStringSubmatchIndex is [regexp.Regexp.FindAllStringSubmatchIndex].
func (r *Regexp) FindAllStringSubmatchIndex(text string, n int) [][]int {
	return r.get().FindAllStringSubmatchIndex(text, n)
}

// ReplaceAll is [regexp.Regexp.ReplaceAll].
func (r *Regexp) ReplaceAll(text, replacement []byte) []byte {
	return r.get().ReplaceAll(text, replacement)
}

// ReplaceAllFunc is [regexp.Regexp.ReplaceAllFunc].
func (r *Regexp) ReplaceAllFunc(text []byte, replace func([]byte) []byte) []byte {
	return r.get().ReplaceAllFunc(text, replace)
}

// ReplaceAllString is [regexp.Regexp.ReplaceAllString].
func (r *Regexp) ReplaceAllString(text, replacement string) string {
	return r.get().ReplaceAllString(text, replacement)
}

// ReplaceAllStringFunc is [regexp.Regexp.ReplaceAllStringFunc].
func (r *Regexp) ReplaceAllStringFunc(text string, replace func(string) string) string {
	return r.get().ReplaceAllStringFunc(text, replace)
}

// Split is [regexp.Regexp.Split].
func (r *Regexp) Split(text string, n int) []string { return r.get().Split(text, n) }
