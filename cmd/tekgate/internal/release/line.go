package release

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// UseLine makes the source read a line, whatever the configuration file names.
func (s *Source) UseLine(l release.Line) { s.version, s.hop = l.Name, true }

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
	if s.version == "" || configured == "" || s.hop {
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

// AllEmbedded returns Tekton's objects of all lines, those of the newest first, and of all
// components. An object is there once for each line that has it.
func AllEmbedded() ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, l := range release.Lines {
		objects, err := EmbeddedLine(l)
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	for _, component := range release.Components {
		embedded, err := manifests.Component(component)
		if err != nil {
			return nil, err
		}
		all = append(all, embedded.Objects...)
	}
	return all, nil
}

// RefuseTo returns an error if --to names a line, and a flag or the configuration file another
// release.
func (s *Source) RefuseTo(to release.Line) error {
	const flag = "--to"
	c, err := s.file()
	if err != nil {
		return err
	}
	if name := c.Install.Version; name != "" {
		if other, err := release.FindLine(name); err != nil || other != to {
			return fmt.Errorf("--to %s and install.version %s of %s contradict each other: change the file first, "+
				"which the next install reads, too", to.Name, name, s.config)
		}
	}
	switch {
	case s.version != "":
		return fmt.Errorf("%s and --version both name a line: use %[1]s alone", flag)
	case s.NamesManifests():
		return fmt.Errorf("%s goes to a line that is compiled in: leave out --pipeline-manifest and --triggers-manifest, "+
			"or upgrade to these manifests without %[1]s", flag)
	}
	return nil
}
