// Package golden compares what a test computed with a file that a person has
// read and committed.
//
// `go test ./… -update` writes the files anew. Read the difference before
// committing it: a golden file is a promise to those who use the output.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/aymanbagabas/go-udiff"
)

// update is a flag of the test binary, since a golden file is only ever
// written by the test that knows what belongs into it.
var update = flag.Bool("update", false, "write golden files instead of comparing with them")

// Equal fails t with a unified diff unless the file at path holds exactly got.
// With -update it writes got there, making the folders on the way.
func Equal(t testing.TB, path string, got []byte) {
	t.Helper()
	if *update {
		write(t, path, got)
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("reading golden file: %v: run this test with -update to write it", err)
		return
	}
	if diff := udiff.Unified(path, "got", string(want), string(got)); diff != "" {
		t.Errorf("%s differs; if the change is intended, run this test with -update:\n%s", path, diff)
	}
}

func write(t testing.TB, path string, got []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatalf("writing golden file: %v", err)
	}
	if err := os.WriteFile(path, got, 0o644); err != nil {
		t.Fatalf("writing golden file: %v", err)
	}
}

// Updating tells whether golden files are to be written, for tests that compare
// them in a way of their own.
func Updating() bool { return *update }

// Write writes a golden file, or removes it where got is empty. It is for tests
// that found that Updating is true.
func Write(t testing.TB, path string, got []byte) {
	t.Helper()
	if len(got) > 0 {
		write(t, path, got)
		return
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Fatalf("removing golden file: %v", err)
	}
}
