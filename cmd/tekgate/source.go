package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/manifests"
	"github.com/tekgate/tekgate/mutator"
)

// source says what is to be installed: the flags that render, diff and install
// share.
type source struct {
	config   string
	mirror   string
	pipeline []string
	triggers []string
	lock     string
	// registries is for the commands that speak to any, which add its flags.
	registries registryFlags
}

func (s *source) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.config, "config", "", "configuration `FILE`")
	f.StringVar(&s.mirror, "mirror", "", "where images come from, in place of a file's mirror section: a preset `NAME` (daocloud, daocloud-hosts, tektondev, upstream) or a registry and path such as registry.example.com/tekton")
	f.StringArrayVar(&s.pipeline, "pipeline-manifest", nil, "Tekton Pipelines `SOURCE` in place of the embedded release: a file, a folder, a URL, or - for standard input (repeatable)")
	f.StringArrayVar(&s.triggers, "triggers-manifest", nil, "Tekton Triggers `SOURCE`s, release and interceptors, in place of the embedded ones (repeatable)")
	f.StringVar(&s.lock, "lock-file", registry.LockFile, "`FILE` that says which digests the mirror has of its own, for rules with `digest: relock`; it need not exist")
}

// rendered is what would be applied.
type rendered struct {
	objects []*unstructured.Unstructured
	images  []image.Rewritten
	// conditions are what the configuration wants to be asked about.
	conditions map[string]string
}

// release returns what was rendered as the installer takes it.
func (r *rendered) release() installer.Release {
	versions := installer.VersionsOf(r.objects)
	versions.Tekgate = manifests.Version
	return installer.Release{Objects: r.objects, Images: r.images, Versions: versions, Conditions: r.conditions}
}

// loaded is what is to be rendered.
type loaded struct {
	config *config.Configuration
	rules  *image.Rules
	// registries say how they are spoken to.
	registries registry.Options
	objects    []*unstructured.Unstructured // Tekgate's own among them
	own        []*unstructured.Unstructured
	references *installer.References // of objects
	// certManager says that the servers' certificates come from cert-manager.
	certManager bool
}

// render loads all objects and rewrites their images. What it finds wrong it
// finds before anything is asked of a cluster.
func (s *source) render(ctx context.Context, in io.Reader, talk io.Writer) (*rendered, error) {
	l, err := s.read(ctx, in, talk)
	if err != nil {
		return nil, err
	}
	return l.render(talk)
}

// read loads the configuration and all objects.
func (s *source) read(ctx context.Context, in io.Reader, talk io.Writer) (*loaded, error) {
	c, rules, err := s.rules()
	if err != nil {
		return nil, err
	}
	if rules, err = s.pinned(rules); err != nil {
		return nil, err
	}
	objects, err := s.load(ctx, in, talk)
	if err != nil {
		return nil, err
	}
	own, err := manifests.Tekgate()
	if err != nil {
		return nil, err
	}
	l := &loaded{config: c, rules: rules, registries: s.registries.options(), objects: append(objects, own...), own: own,
		certManager: c.Certificates.Source == config.SourceCertManager}
	l.references = installer.FindReferences(l.objects)
	return l, installer.Distinct(l.objects)
}

// render rewrites what was loaded.
func (l *loaded) render(talk io.Writer) (*rendered, error) {
	images, err := l.references.Rewrite(l.rules)
	if err != nil {
		return nil, err
	}
	// Only now, for the configuration names the registries that it mirrors.
	if err := configure(l.own, l.config); err != nil {
		return nil, err
	}
	if err := l.request(); err != nil {
		return nil, err
	}
	conditions, err := l.config.Conditions(nil)
	if err != nil {
		return nil, err
	}
	sayDropped(talk, images)
	return &rendered{objects: l.objects, images: images, conditions: conditions}, nil
}

// probe asks the mirrors for every image, chooses among several places the one
// that has it, and says what is wrong.
func (l *loaded) probe(ctx context.Context, platforms []string, talk io.Writer) ([]installer.Finding, error) {
	candidates := l.references.Candidates(l.rules)
	results := registry.Probe(ctx, registry.ProbeRequest{Images: candidates, Platforms: platforms}, l.registries)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.rules = l.rules.Choose(registry.Choices(results)...)
	var findings []installer.Finding
	for _, r := range results {
		if r.Status.Fatal() {
			findings = append(findings, installer.Finding{Category: "images", Fatal: true,
				Sentence: fmt.Sprintf("%s: %s (%s)", r.Image.To, r.Status, r.Err), Remedy: r.Remedy})
		}
	}
	if len(findings) == 0 {
		fmt.Fprintf(talk, "the mirror holds all %d images\n", len(results))
		return nil, nil
	}
	return findings, registry.WriteTable(talk, results)
}

// rules returns the configuration and its mirror's rules, ready to use.
func (s *source) rules() (*config.Configuration, *image.Rules, error) {
	c, err := s.configuration()
	if err != nil {
		return nil, nil, err
	}
	rules, err := c.Mirror.Compile()
	return c, rules, err
}

func (s *source) configuration() (*config.Configuration, error) {
	c, err := s.file()
	if err == nil && c.Mirror.Empty() {
		return nil, errors.New("no mirror is named: pass --mirror with a preset or a registry, or a --config with a mirror section; `--mirror upstream` keeps Tekton's own registries")
	}
	return c, err
}

// file reads the configuration file, and puts --mirror in its place.
func (s *source) file() (*config.Configuration, error) {
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

// engineFlags are for the commands that run the mutator's rules.
func (s *source) engineFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.config, "config", "", "configuration `FILE`")
	cmd.Flags().StringVar(&s.mirror, "mirror", "", "mirror for the images of steps, as if the rule image-mirror were on: a preset `NAME`, or a registry and path")
}

// engine returns what the mutator is configured with. The rules are nil where no
// mirror is named.
func (s *source) engine() (mutator.Config, *image.Rules, error) {
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

func (s *source) load(ctx context.Context, in io.Reader, talk io.Writer) ([]*unstructured.Unstructured, error) {
	if slices.Contains(s.pipeline, "-") && slices.Contains(s.triggers, "-") {
		return nil, errors.New("standard input can be one manifest only: --pipeline-manifest and --triggers-manifest both say -")
	}
	pipeline, err := loadOr(ctx, s.pipeline, in, talk, "pipeline")
	if err != nil {
		return nil, err
	}
	triggers, err := loadOr(ctx, s.triggers, in, talk, "triggers", "triggers-interceptors")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(triggers, func(o *unstructured.Unstructured) bool { return o.GetKind() == "ClusterInterceptor" }) {
		fmt.Fprintln(talk, "warning: the Triggers manifests hold no ClusterInterceptor: without interceptors.yaml no EventListener starts; name it with another --triggers-manifest")
	}
	return append(pipeline, triggers...), nil
}

// loadOr reads the sources, or the embedded manifests where there are none.
func loadOr(ctx context.Context, sources []string, in io.Reader, talk io.Writer, embedded ...string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, source := range sources {
		read, err := installer.Load(ctx, source, in)
		if err != nil {
			return nil, err
		}
		objects = append(objects, read...)
	}
	if len(sources) > 0 {
		return objects, nil
	}
	for _, name := range embedded {
		release, err := manifests.Tekton(name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(talk, "%s %s (embedded), %d objects\n", release.Name, release.Version, len(release.Objects))
		objects = append(objects, release.Objects...)
	}
	return objects, nil
}

// configure fills Tekgate's own objects in from the configuration file.
func configure(own []*unstructured.Unstructured, c *config.Configuration) error {
	text, err := c.Servers()
	if err != nil {
		return err
	}
	if err := installer.SetConfig(own, text); err != nil {
		return err
	}
	if c.Install.WebhookURL == "" {
		return nil
	}
	return installer.SetWebhookURL(own, c.Install.WebhookURL)
}

// sayDropped names every image whose pin is lost, since from then on the mirror
// decides what runs.
func sayDropped(talk io.Writer, images []image.Rewritten) {
	for _, done := range images {
		if done.DigestDropped {
			fmt.Fprintf(talk, "warning: %s becomes %s without its digest (%s): what that mirror holds under the tag is what will run\n", done.From, done.To, done.Rule)
		}
	}
}
