package cluster_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// What is in the cache is not built again; what a recipe names newly, and what
// an interrupted build has left, is.
func TestRecipe(t *testing.T) {
	module := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module example.com/m\n",
		"cmd/a/a.go":   "package main\nvar said string\nfunc main() { print(said) }\n",
		"cmd/b/b.go":   "package main\nfunc main() {}\n",
		"cmd/bad/b.go": "package main\nfunc main() { none() }\n",
	} {
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cache := t.TempDir()
	t.Setenv("TEKGATE_CACHE", cache)
	recipe := cluster.Recipe{
		Name: "m", Dir: module, Key: "1",
		Linker:   func() (string, error) { return "-X main.said=hello", nil },
		Packages: map[string]string{"a": "./cmd/a"},
	}
	build := func(want string) string {
		t.Helper()
		var log bytes.Buffer
		dir, err := recipe.Build(t.Context(), &log)
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range []string{"a", "b"} {
			built := strings.Contains(log.String(), "building "+program+" ")
			if built != strings.Contains(want, program) {
				t.Errorf("the log is %q, want %q to be built", log.String(), want)
			}
		}
		return dir
	}
	dir := build("a")
	if out, err := exec.Command(filepath.Join(dir, "a")).CombinedOutput(); err != nil || string(out) != "hello" {
		t.Errorf("the program says %q, error %v", out, err)
	}
	build("")
	recipe.Packages["b"] = "./cmd/b"
	build("b")
	if err := os.Rename(filepath.Join(dir, "b"), filepath.Join(dir, "b.half")); err != nil {
		t.Fatal(err)
	}
	build("b")
	recipe.Key = "2"
	if other := build("a b"); other == dir || filepath.Dir(other) != filepath.Join(cache, "m") {
		t.Errorf("another key has the folder %s, the first had %s", other, dir)
	}
	recipe.Packages["bad"] = "./cmd/bad"
	_, err := recipe.Build(t.Context(), &bytes.Buffer{})
	for _, part := range []string{"building bad: go build: ", "none"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("code that does not compile gives error %v, want %q in it", err, part)
		}
	}
}
