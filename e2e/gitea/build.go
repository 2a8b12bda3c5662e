// Package gitea runs a real Gitea: a forge that sends deliveries and answers its API.
//
// It is built from its Go module. That needs three things that no other module does: the module
// that the proxy serves as code.gitea.io/gitea calls itself gitea.dev, so it is built in a copy of
// its folder; two of its modules are not served under their new names, of which one has an older
// name; and the other is only for migrations from another Gitea, whose files are left out. Pages lack
// their style, since the module has no front end; the API, Git over HTTP and forms work.
package gitea

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/release"
)

const (
	module  = "code.gitea.io/gitea"
	version = "v1.27.3"
	// buildRecipe is part of the cache's key: change it when what is built below changes.
	buildRecipe = "static, trimmed 1"
)

// Programs are where Gitea's program and its templates are.
type Programs struct {
	// Folder holds the program gitea, Static its folders public, options and templates.
	Folder, Static string
}

// Build makes sure that Gitea is in the cache. log hears about a build, of some minutes, before it
// starts.
func Build(ctx context.Context, log io.Writer) (Programs, error) {
	source, err := release.Fetch(ctx, module, version)
	if err != nil {
		return Programs{}, err
	}
	copied, err := copySource(source)
	if err != nil {
		return Programs{}, fmt.Errorf("copying Gitea's sources: %w", err)
	}
	dir, err := cluster.Recipe{
		Name:     filepath.Join("gitea", source.Version),
		Dir:      copied,
		Key:      module + source.Version + source.Sum + buildRecipe,
		Linker:   func() (string, error) { return "-s -w", nil },
		Packages: map[string]string{"gitea": "."},
		Replace:  map[string]string{"gitea.dev/actions-proto-go": "code.gitea.io/actions-proto-go@v0.6.0"},
	}.Build(ctx, log)
	return Programs{Folder: dir, Static: source.Dir}, err
}

// copySource copies the module's Go files, and what they embed, to the cache, once.
func copySource(source release.Module) (string, error) {
	cache, err := cluster.CacheDir()
	if err != nil {
		return "", err
	}
	to := filepath.Join(cache, "gitea", "source-"+source.Version)
	if _, err := os.Stat(to); err == nil {
		return to, nil
	}
	half := to + ".half"
	if err := os.RemoveAll(half); err != nil {
		return "", err
	}
	from := os.DirFS(source.Dir)
	err = fs.WalkDir(from, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || omitted(path) {
			return err
		}
		target := filepath.Join(half, path)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
	return to, errors.Join(err, os.Rename(half, to))
}

// omitted reports whether a file is left out: the migrations from another Gitea, whose client is a
// module that is not served.
func omitted(path string) bool {
	return strings.HasPrefix(path, "services/migrations/gitea_downloader")
}
