package main

import (
	"fmt"
	"io"
)

// bed is what the benchmarks share: an API server, and the arms that run beside it.
// Both are started when somebody asks for them first.
type bed struct {
	options
	talk    io.Writer
	notes   []string
	missing []Missing
}

// Missing is an arm that is not there.
type Missing struct{ Arm, Reason string }

func newBed(o options, talk io.Writer) *bed { return &bed{options: o, talk: talk} }

// note adds a sentence to the report of the benchmark that runs.
func (b *bed) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

func (b *bed) takeNotes() []string {
	notes := b.notes
	b.notes = nil
	return notes
}

func (b *bed) close() {}
