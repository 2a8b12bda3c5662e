// Package release turns the flags that name a release into the objects of an
// installation: read, checked against the mirror and rewritten.
package release

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/published"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/mutator"
)

// Source has the flags that name a release and its configuration.
type Source struct {
	// Registries are the flags for access to registries. Commands that access none do
	// not add them.
	Registries Registries

	config   string
	mirror   string
	version  string
	pipeline []string
	triggers []string
	parts    selection
	lock     string
	pins     pins
	implicit bool // whether no mirror was named

	lineImplied bool // whether the line was not named
	hop         bool // whether UseLine has chosen the line
}

// Flags adds the flags of the commands that install, compare or print a release.
func (s *Source) Flags(cmd *cobra.Command) {
	s.ConfigFlags(cmd,
		"where images come from, in place of a file's mirror section: a preset `NAME` (daocloud, daocloud-hosts, tektondev, upstream) or a registry and path such as registry.example.com/tekton")
	f := cmd.Flags()
	f.StringVar(&s.version, "version", "",
		"`LINE` of Tekton Pipelines, such as v1.12, or a version of it, with the Triggers release that fits: "+
			"`tekgate versions` lists them (default: install.version of the configuration, or the newest)")
	f.StringArrayVar(&s.pipeline, "pipeline-manifest", nil,
		"Tekton Pipelines `SOURCE` in place of the embedded release: a file, a folder, a URL, or - for standard input (repeatable)")
	f.StringArrayVar(&s.triggers, "triggers-manifest", nil,
		"Tekton Triggers `SOURCE`s, release and interceptors, in place of the embedded ones (repeatable)")
	s.parts.flags(f)
	s.pins.flags(f)
	f.StringVar(&s.lock, "lock-file", registry.LockFile,
		"`FILE` that says which digests the mirror has of its own, for rules with `digest: relock`; it need not exist")
}

// ConfigFlags adds the flags --config and --mirror.
func (s *Source) ConfigFlags(cmd *cobra.Command, mirror string) {
	cmd.Flags().StringVar(&s.config, "config", "", "configuration `FILE`")
	cmd.Flags().StringVar(&s.mirror, "mirror", "", mirror)
}

// EngineFlags adds the flags of the commands that run the mutator's rules.
func (s *Source) EngineFlags(cmd *cobra.Command) {
	s.ConfigFlags(cmd,
		"mirror for the images of steps, as if the rule image-mirror were on: a preset `NAME`, or a registry and path")
}

// OrUpstream uses Tekton's own registries if no mirror is named.
func (s *Source) OrUpstream() *Source {
	if s.mirror == "" && s.config == "" {
		s.mirror, s.implicit = "upstream", true
	}
	return s
}

// IgnoreLock returns the name of the lock file, and makes later calls ignore it.
func (s *Source) IgnoreLock() (file string) {
	file, s.lock = s.lock, ""
	return file
}

// Rules returns the configuration and the compiled rules of its mirror, with the digests that
// Tekton published.
func (s *Source) Rules() (*config.Configuration, *image.Rules, error) {
	c, rules, err := s.compile()
	if err == nil {
		rules, err = withPublished(rules)
	}
	return c, rules, err
}

func withPublished(rules *image.Rules) (*image.Rules, error) {
	table, err := published.Embedded()
	if err != nil {
		return nil, err
	}
	return rules.WithPublished(table.Digest), nil
}

// compile returns the rules without published digests.
func (s *Source) compile() (*config.Configuration, *image.Rules, error) {
	c, err := s.configuration()
	if err != nil {
		return nil, nil, err
	}
	rules, err := c.Mirror.Compile()
	return c, rules, err
}

func (s *Source) configuration() (*config.Configuration, error) {
	c, err := s.file()
	if err == nil && c.Mirror.Empty() {
		return nil, errors.New(
			"no mirror is named: pass --mirror with a preset or a registry, or a --config with a mirror section; `--mirror upstream` keeps Tekton's own registries")
	}
	return c, err
}

// file reads the configuration file, and puts --mirror in its place.
func (s *Source) file() (*config.Configuration, error) {
	c, err := config.Load(s.config)
	switch {
	case err != nil:
		return nil, err
	case s.mirror != "" && !c.Mirror.Empty():
		return nil, fmt.Errorf("--mirror and the mirror section of %s contradict each other: use one of them", s.config)
	case s.mirror != "":
		c.Mirror = image.Shorthand(s.mirror)
	}
	return c, nil
}

// Engine returns the configuration of the mutator. The rules are nil if no mirror is
// named.
func (s *Source) Engine() (mutator.Config, *image.Rules, error) {
	c, err := s.file()
	if err != nil {
		return mutator.Config{}, nil, err
	}
	if s.mirror != "" {
		c.Mutator.ImageMirror.Enabled, c.Mutator.ImageMirror.Disabled = true, false
	}
	if c.Mirror.Empty() {
		return c.Mutator, nil, nil
	}
	rules, err := c.Mirror.Compile()
	return c.Mutator, rules, err
}
