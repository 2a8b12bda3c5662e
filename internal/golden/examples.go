package golden

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	k8syaml "k8s.io/apimachinery/pkg/util/yaml"
)

// Example is a document of a module's examples.
type Example struct {
	File  string // below the folder examples, with slashes
	Index int    // its position in the file, from 0
	JSON  []byte // nil where Err is set
	Err   error  // what is wrong with the YAML, if anything
}

// Examples returns the documents in the folder examples of a module that go.mod
// requires, in the order of files and positions. What is empty, or no object, is left
// out.
//
// They are what a project's own people believe to be right, and they come with the
// module, so that no test needs a copy of them.
func Examples(t testing.TB, module string) []Example {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("looking for module %s: %v", module, err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "examples")
	var all []Example
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(path)) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		all = append(all, documents(filepath.ToSlash(name), text)...)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("no examples in %s: %v", root, err)
	}
	return all
}

func documents(file string, text []byte) []Example {
	var all []Example
	reader := k8syaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for i := 0; ; i++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			return append(all, Example{File: file, Index: i, Err: err})
		}
		raw, err := k8syaml.ToJSON(document)
		if err != nil || bytes.HasPrefix(raw, []byte("{")) {
			all = append(all, Example{File: file, Index: i, JSON: raw, Err: err})
		}
	}
}
