package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Report is what docs/benchmarks.md is made of.
type Report struct {
	Machine Machine
	Rounds  int
	Span    time.Duration
	Missing []Missing
	Results []Result
}

// Result is what one benchmark gave.
type Result struct {
	benchmark
	Figures []Figure
	Notes   []string
	Err     error
}

// Machine is where it was measured. Nothing in it names the machine.
type Machine struct {
	CPU, Kernel, Go string
	Cores           int
	Versions        []string
}

func thisMachine(context.Context) Machine { return Machine{} }

func (r Report) save(string, io.Writer) error { return nil }

// number prints a figure with as many digits as mean something.
func number(value float64) string { return fmt.Sprintf("%.3g", value) }
