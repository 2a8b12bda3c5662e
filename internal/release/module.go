package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Module is a Go module on this machine's disk.
type Module struct {
	Dir, Version string
	// Sum is its checksum, as in go.sum.
	Sum string
}

// Pinned returns the version of a module that the go.mod of the working
// directory asks for, fetching it if need be.
func Pinned(ctx context.Context, path string) (Module, error) {
	var m Module
	if err := goJSON(ctx, &m, "mod", "download", "-json", path); err != nil {
		return m, fmt.Errorf("fetching %s: %w", path, err)
	}
	return m, nil
}

// Fetch returns the given version of a module.
func Fetch(ctx context.Context, path, version string) (Module, error) {
	return Pinned(ctx, path+"@"+version)
}

// fetchPinned returns the given version of a module, which must have the checksum.
func fetchPinned(ctx context.Context, path, version, sum string) (Module, error) {
	found, err := Fetch(ctx, path, version)
	if err == nil && found.Sum != sum {
		err = fmt.Errorf("%s %s has the checksum %s, and %q is pinned: do not use this module", path, version,
			found.Sum, sum)
	}
	return found, err
}

func goJSON(ctx context.Context, into any, args ...string) error {
	out, err := exec.CommandContext(ctx, "go", args...).Output()
	var failed struct{ Error string }
	if json.Unmarshal(out, &failed) == nil && failed.Error != "" {
		return errors.New(failed.Error)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}
