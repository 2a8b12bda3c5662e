package lint

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/resolve"
)

// resolving is what the flags about remote references say.
type resolving struct {
	on          bool
	offline     bool
	update      bool
	lock        string
	cache       string
	urls        []string // FROM=TO
	artifactHub string
	tektonHub   string
}

func (r *resolving) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&r.on, "resolve", false,
		"fetch what references with a resolver lead to (bundles, git, http, hub), so that the rules see it, and lock it")
	f.BoolVar(&r.offline, "offline", false, "with --resolve: ask no server; the lock and the cache have to have everything")
	f.BoolVar(&r.update, "update", false, "with --resolve: accept what differs from the lock, and drop what is not used")
	f.StringVar(&r.lock, "lock", "",
		"with --resolve: lock `FILE` (default: "+resolve.LockFile+" in the folder of the first path)")
	f.StringVar(&r.cache, "cache", "",
		"with --resolve: `FOLDER` of the cache (default: tekgate/resolve in $XDG_CACHE_HOME, or in ~/.cache)")
	f.StringArrayVar(&r.urls, "resolve-url", nil,
		"with --resolve: ask `FROM=TO`, that is URLs of git, http and hubs that begin with FROM at TO (repeatable)")
	f.StringVar(&r.artifactHub, "artifact-hub", "",
		"with --resolve: `URL` of Artifact Hub (default: $ARTIFACT_HUB_API, or https://artifacthub.io)")
	f.StringVar(&r.tektonHub, "tekton-hub", "", "with --resolve: `URL` of a Tekton Hub (default: $TEKTON_HUB_API)")
}

func (r *resolving) check() error {
	if !r.on {
		for flag, used := range map[string]bool{
			"--offline": r.offline, "--update": r.update, "--lock": r.lock != "", "--cache": r.cache != "",
			"--resolve-url": len(r.urls) > 0, "--artifact-hub": r.artifactHub != "", "--tekton-hub": r.tektonHub != "",
		} {
			if used {
				return fmt.Errorf("%s is for --resolve: pass that too, or leave it out", flag)
			}
		}
		return nil
	}
	if r.offline && r.update {
		return errors.New("--offline asks no server, so --update has nothing to accept: leave one of them out")
	}
	_, err := r.replaced()
	return err
}

// replaced returns the URLs of --resolve-url.
func (r *resolving) replaced() (map[string]string, error) {
	urls := map[string]string{}
	for _, pair := range r.urls {
		from, to, ok := strings.Cut(pair, "=")
		if !ok || !strings.Contains(from, "://") || !strings.Contains(to, "://") {
			return nil, errors.New("--resolve-url wants two URLs, as https://github.com/=https://mirror.example.com/github/")
		}
		if strings.HasSuffix(from, "/") && !strings.HasSuffix(to, "/") {
			to += "/"
		}
		urls[from] = to
	}
	return urls, nil
}

// open returns what resolves references in files of some paths; nil if none is to be resolved.
func (r *resolving) open(paths []string, c *config.Configuration, options registry.Options) (*resolve.Resolver, error) {
	if !r.on {
		return nil, nil
	}
	urls, err := r.replaced()
	if err != nil {
		return nil, err
	}
	mirror, err := mirrorOf(c)
	if err != nil {
		return nil, err
	}
	cache := r.cache
	if cache == "" {
		folder, err := cacheFolder()
		if err != nil {
			return nil, fmt.Errorf("finding the folder of the cache: %w: name one with --cache", err)
		}
		cache = filepath.Join(folder, "tekgate", "resolve")
	}
	return resolve.New(resolve.Options{
		Mirror: mirror, URLs: urls, Registry: options, Lock: cmp.Or(r.lock, lockBeside(paths)), Cache: cache,
		ArtifactHub: cmp.Or(r.artifactHub, os.Getenv("ARTIFACT_HUB_API")),
		TektonHub:   cmp.Or(r.tektonHub, os.Getenv("TEKTON_HUB_API")),
		Update:      r.update, Offline: r.offline,
	})
}

func cacheFolder() (string, error) {
	if folder := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(folder) {
		return folder, nil
	}
	return os.UserCacheDir()
}

// mirrorOf returns the rules by which admission rewrites the images of steps, nil without a mirror.
func mirrorOf(c *config.Configuration) (*image.Rules, error) {
	mirror := c.Mirror
	if own := c.Mutator.ImageMirror.Mirror; own != nil {
		mirror = *own
	}
	if mirror.Empty() {
		return nil, nil
	}
	return mirror.Compile()
}

// lockBeside returns the name of the lock in the folder of the first path.
func lockBeside(paths []string) string {
	folder := "."
	if len(paths) > 0 && paths[0] != "-" {
		folder = paths[0]
		if info, err := os.Stat(folder); err == nil && !info.IsDir() {
			folder = filepath.Dir(folder)
		}
	}
	return filepath.Join(folder, resolve.LockFile)
}

// saveLock writes the lock, if references were resolved.
func (j *judgement) saveLock(errOut io.Writer) error {
	if j.resolver == nil {
		return nil
	}
	name, err := j.resolver.Save()
	if err != nil {
		return fmt.Errorf("writing the lock: %w", err)
	}
	if name != "" {
		fmt.Fprintf(errOut, "note: %s was written: commit it, so that others judge by the same definitions\n", name)
	}
	return nil
}
