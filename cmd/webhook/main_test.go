package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/tekgate/tekgate/e2e/servers"
)

// sideBySide is the number of tests that run at once. Most of them wait most of the time.
const sideBySide = "4"

// programDir holds the server that the tests start.
var programDir string

// TestMain makes the folder that outlives a single test.
func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		serveRules()
	}
	flag.Parse()
	os.Exit(func() int {
		var err error
		if programDir, err = os.MkdirTemp("", "tekgate-webhook"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(programDir)
		if err := flag.Set("test.parallel", sideBySide); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

var buildProgram = sync.OnceValues(func() (string, error) {
	return servers.Build(context.Background(), programDir)
})

// programOf returns the path of the real program, which is built once.
func programOf(t testing.TB) string {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	return program
}
