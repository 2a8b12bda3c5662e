package release

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// UseLine makes the source read a line, as --version does.
func (s *Source) UseLine(l release.Line) { s.version = l.Name }

// NamesManifests reports whether a flag names a manifest.
func (s *Source) NamesManifests() bool { return len(s.pipeline)+len(s.triggers) > 0 }

// line returns the line of the manifests that no flag names. configured is install.version of the
// configuration file.
func (s *Source) line(configured string) (release.Line, error) {
	name, says := s.version, "--version"
	if name == "" {
		name, says = configured, "install.version of "+s.config
	}
	if name == "" {
		return release.Newest(), nil
	}
	if len(s.pipeline) > 0 {
		return release.Line{}, fmt.Errorf("%s %s and --pipeline-manifest contradict each other, since both name a "+
			"release of Tekton Pipelines: use one of them", says, name)
	}
	found, err := release.FindLine(name)
	if err != nil {
		return found, fmt.Errorf("%s: %w", says, err)
	}
	if s.version == "" || configured == "" {
		return found, nil
	}
	if other, err := release.FindLine(configured); err != nil || other != found {
		return found, fmt.Errorf("--version %s and install.version %s of %s contradict each other: change one of them",
			s.version, configured, s.config)
	}
	return found, nil
}

// EmbeddedLine returns Tekton's objects of a line.
func EmbeddedLine(l release.Line) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, m := range release.Manifests {
		read, err := manifests.TektonOf(l, m.Name)
		if err != nil {
			return nil, err
		}
		objects = append(objects, read.Objects...)
	}
	return objects, nil
}

// Embedded returns the objects of the releases with these versions that are compiled in.
func Embedded(v installer.Versions) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, l := range release.Lines {
		for _, m := range release.Manifests {
			if version := l.Version(m); version != v.Pipeline && version != v.Triggers {
				continue
			}
			read, err := manifests.TektonOf(l, m.Name)
			if err != nil {
				return nil, err
			}
			objects = append(objects, read.Objects...)
		}
	}
	return objects, nil
}

// AllEmbedded returns Tekton's objects of all lines, those of the newest first. An object is
// there once for each line that has it.
func AllEmbedded() ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, l := range release.Lines {
		objects, err := EmbeddedLine(l)
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}
