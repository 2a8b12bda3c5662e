package release

import (
	"context"
	"path"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// The components that every release line has.
const (
	Pipelines = "pipelines"
	Triggers  = "triggers"
)

// Component is a part of Tekton that is installed beside Pipelines and Triggers where it is
// named. Each has one manifest, which is assembled from its Go module.
type Component struct {
	Manifest // its Name is that in the configuration

	// Title is the name in messages.
	Title string
	// Version is that of the module, with its v: the newest that the Go module proxy serves
	// and that is made for the newest line of Pipelines. Sum is its checksum, as in go.sum.
	Version, Sum string
	// Info is the ConfigMap whose data.version is the version of an installed component.
	Info string
	// Pipeline is the version of Pipelines that its go.mod asks for; "" if it needs no Go
	// code of Pipelines. It is the oldest that the component was built and tested with.
	Pipeline string
	// Kubernetes is the lowest version that its documentation names; "" where it names none.
	Kubernetes string

	// PreservedPaths says that the names of its images are whole import paths (ko's
	// --preserve-import-paths), and not ko's default.
	PreservedPaths bool
	// Commands are the elements of the import paths of its images after "cmd/".
	Commands []string
}

// Components are all that can be installed beside Pipelines and Triggers.
var Components = []Component{
	{
		Manifest: Manifest{Name: "dashboard", Module: "github.com/tektoncd/dashboard", Folder: "config",
			Kustomized: true},
		Title: "Tekton Dashboard", Version: "v0.69.0", Sum: "h1:sRx+TSzitqPHZUZlGx3l3aCVaQ0m7MEOy3UaX6gqaIg=",
		Info: "dashboard-info", Kubernetes: "1.31.0",
		Commands: []string{"dashboard"},
	},
	{
		Manifest: Manifest{Name: "chains", Module: "github.com/tektoncd/chains", Folder: "config"},
		Title:    "Tekton Chains", Version: "v0.28.1", Sum: "h1:mRIPt+5LVlD5bLtGmu1cbpRXWgIQnwoBqxwL0a5yY1c=",
		Info: "chains-info", Pipeline: "v1.14.0",
		PreservedPaths: true, Commands: []string{"controller"},
	},
	{
		Manifest: Manifest{Name: "results", Module: "github.com/tektoncd/results", Folder: "release", Kustomized: true},
		Title:    "Tekton Results", Version: "v0.20.0", Sum: "h1:lbMX48YblsMA7EYlSq59ACFsdfgb6TLvXP5YO0hw9EU=",
		Info: "tekton-results-info", Pipeline: "v1.15.0",
		Commands: []string{"api", "retention-policy-agent", "watcher"},
	},
	{
		Manifest: Manifest{Name: "pruner", Module: "github.com/tektoncd/pruner", Folder: "config", Recursive: true,
			Devel: `(pruner\.tekton\.dev/release|version): "devel"`},
		Title: "Tekton Pruner", Version: "v0.3.5", Sum: "h1:eQTgnQ56Par9d/6BICsXfTkR0Ybx8c/0QLZeNoJnaYQ=",
		Info: "pruner-info", Pipeline: "v1.6.0",
		Commands: []string{"controller", "webhook"},
	},
	{
		Manifest: Manifest{Name: "manual-approval-gate", Module: "github.com/openshift-pipelines/manual-approval-gate",
			Folder: "config/kubernetes", Devel: `(version): "devel"`},
		Title: "Manual Approval Gate", Version: "v0.7.0", Sum: "h1:GfoGyUeNhYnhIialRNBxLX9xQAkf3Of1mCfZnyJQM8g=",
		Info: "manual-approval-gate-info", Pipeline: "v1.0.0",
		// Its workflow calls ko by imjasonh/setup-ko, which publishes below the repository's name.
		Commands: []string{"controller", "webhook"},
	},
}

// ComponentNames returns the names that the configuration may list, Pipelines and Triggers
// first.
func ComponentNames() []string {
	names := []string{Pipelines, Triggers}
	for _, c := range Components {
		names = append(names, c.Name)
	}
	return names
}

// FindComponent returns a component by its name.
func FindComponent(name string) (Component, bool) {
	for _, c := range Components {
		if c.Name == name {
			return c, true
		}
	}
	return Component{}, false
}

// ImportPaths returns the import paths of the component's images.
func (c Component) ImportPaths() []string {
	var paths []string
	for _, command := range c.Commands {
		paths = append(paths, c.Module+"/cmd/"+command)
	}
	return paths
}

// Repository returns the repository that the component publishes the image of a command to.
func (c Component) Repository(importPath string) string {
	published := image.PublishedName(importPath)
	if c.PreservedPaths {
		return path.Dir(published) + "/" + importPath
	}
	return published
}

// Fetch returns the component's module, whose checksum this package pins.
func (c Component) Fetch(ctx context.Context) (Module, error) {
	return fetchPinned(ctx, c.Module, c.Version, c.Sum)
}

// Substitute fills in the version and the names of images, as the component's release
// process does.
func (m Manifest) Substitute(text []byte, version string, name func(importPath string) string) []byte {
	pattern := devel
	if m.Devel != "" {
		pattern = lazyregexp.New(m.Devel)
	}
	return substitute(text, pattern, version, name)
}
