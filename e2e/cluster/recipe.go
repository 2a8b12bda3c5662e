package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Recipe is how programs are built from one Go module into the cache.
type Recipe struct {
	// Name is that of their folder in the cache.
	Name string
	// Dir is the module's folder; its go.mod and go.sum are those of the build.
	Dir string
	// Key is any text that changes whenever the programs have to be built anew.
	Key string
	// Linker returns the linker's flags; it is asked when something is built.
	Linker func() (string, error)
	// Tags are the build's, with commas between them; there may be none.
	Tags string
	// Packages are what is built, by the program's name.
	Packages map[string]string
	// Replace has what takes the place of modules in go.mod that the module proxy does not serve,
	// by the module's path: a version, or another module as PATH@VERSION.
	Replace map[string]string
}

// Build returns the folder that holds the programs. What is not in it yet is
// built first, which log hears about; processes that ask at the same time wait
// for one build.
func (r Recipe) Build(ctx context.Context, log io.Writer) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256([]byte(r.Key))
	dir := filepath.Join(cache, r.Name, hex.EncodeToString(key[:6]))
	if len(r.missing(dir)) == 0 {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, "lock")).Lock()
	if err != nil {
		return "", fmt.Errorf("locking the cache folder %s: %w", dir, err)
	}
	defer unlock()
	for _, program := range r.missing(dir) {
		fmt.Fprintf(log, "building %s into %s (some minutes, once)\n", program, dir)
		if err := r.build(ctx, dir, program); err != nil {
			return "", fmt.Errorf("building %s: %w", program, err)
		}
	}
	return dir, nil
}

func (r Recipe) missing(dir string) []string {
	var missing []string
	for program := range r.Packages {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			missing = append(missing, program)
		}
	}
	return missing
}

// build builds a program beside its name and renames it, so that an
// interrupted build never looks like a finished one. Modules of old keep a list of
// what was vendored, and not what it lists: -mod=readonly leaves it alone.
func (r Recipe) build(ctx context.Context, dir, program string) error {
	flags, err := r.Linker()
	if err != nil {
		return err
	}
	modules := []string{"-mod=readonly"}
	if len(r.Replace) > 0 {
		file, err := r.replaced(ctx, dir)
		if err != nil {
			return err
		}
		modules = []string{"-mod=mod", "-modfile=" + file}
	}
	half := filepath.Join(dir, program+".half")
	args := slices.Concat([]string{"build"}, modules, []string{"-trimpath", "-buildvcs=false",
		"-tags", r.Tags, "-ldflags", flags, "-o", half, r.Packages[program]})
	if _, err := goOutput(ctx, r.Dir, args...); err != nil {
		return err
	}
	return os.Rename(half, filepath.Join(dir, program))
}

// replaced writes the module's go.mod with the replacements, and its go.sum, into a folder, and
// returns the file.
func (r Recipe) replaced(ctx context.Context, dir string) (string, error) {
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(r.Dir, name))
		if err != nil {
			return "", fmt.Errorf("reading the module's %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", fmt.Errorf("writing %s: %w", name, err)
		}
	}
	file := filepath.Join(dir, "go.mod")
	for path, by := range r.Replace {
		if !strings.Contains(by, "@") {
			by = path + "@" + by
		}
		if _, err := goOutput(ctx, dir, "mod", "edit", "-replace", path+"="+by, file); err != nil {
			return "", err
		}
	}
	return file, nil
}
