package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// Loaded has the objects of a release as they are published, and the configuration.
type Loaded struct {
	Rules   *image.Rules
	Objects []*unstructured.Unstructured // including those of Tekgate

	config      *config.Configuration
	copies      map[string]image.Reference // upstream names of the images that a mirror has renamed
	implicit    bool                       // whether no mirror was named, see OrUpstream
	registries  registry.Options
	own         []*unstructured.Unstructured // those of Tekgate
	references  *manifest.References         // of Objects
	certManager bool                         // it issues the servers' certificates
	news        []string                     // see newsOf
}

// Rendered has the objects that an install would apply.
type Rendered struct {
	Objects []*unstructured.Unstructured
	// Notes are sentences about what this program does not know about the release.
	Notes []string

	images     []image.Rewritten
	conditions map[string]string // of the webhooks, from the configuration
}

// Release returns the objects as the installer's argument.
func (r *Rendered) Release() installer.Release {
	versions := installer.VersionsOf(r.Objects)
	versions.Tekgate = manifests.Version
	return installer.Release{Objects: r.Objects, Images: r.images, Versions: versions,
		Conditions: r.conditions, Notes: r.Notes}
}

// Render reads all objects and rewrites their images, without a cluster.
func (s *Source) Render(ctx context.Context, streams cli.Streams) (*Rendered, error) {
	l, err := s.Read(ctx, streams)
	if err != nil {
		return nil, err
	}
	return l.Render(streams.ErrOut)
}

// Read reads the configuration and all objects.
func (s *Source) Read(ctx context.Context, streams cli.Streams) (*Loaded, error) {
	c, rules, err := s.compile()
	if err != nil {
		return nil, err
	}
	if rules, err = s.pinned(rules); err != nil {
		return nil, err
	}
	if rules, err = withPublished(rules); err != nil {
		return nil, err
	}
	line, err := s.line(c.Install.Version)
	s.lineImplied = err == nil && s.version == "" && c.Install.Version == "" && len(s.pipeline) == 0
	if err != nil {
		return nil, err
	}
	objects, news, err := s.load(ctx, streams, line)
	if err != nil {
		return nil, err
	}
	own, err := manifests.Tekgate()
	if err != nil {
		return nil, err
	}
	copies := manifest.Copies(objects)
	l := &Loaded{
		Rules: rules.WithCopies(copies), Objects: append(objects, own...),
		config: c, copies: copies, implicit: s.implicit, registries: s.Registries.Options(), own: own,
		certManager: c.Certificates.Source == config.SourceCertManager, news: news,
	}
	l.references = manifest.FindReferences(l.Objects)
	l.reportCopies(streams.ErrOut)
	return l, manifest.Distinct(l.Objects)
}

// Render rewrites the images, and fills in the configuration.
func (l *Loaded) Render(errOut io.Writer) (*Rendered, error) {
	images, err := l.references.Rewrite(l.Rules)
	if err != nil {
		return nil, err
	}
	// After the images, since the configuration contains the names of registries.
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
	warnDropped(errOut, images)
	return &Rendered{Objects: l.Objects, Notes: l.news, images: images, conditions: conditions}, nil
}

// probe requests every image from the mirrors, chooses the candidate that exists, and
// returns a finding for each image without one. nonRoot says that it also checks the users of
// injected images, see CheckUsers.
func (l *Loaded) probe(
	ctx context.Context, platforms []string, nonRoot bool, errOut io.Writer,
) ([]installer.Finding, error) {
	candidates := l.references.Candidates(l.Rules)
	results := registry.Probe(ctx, registry.ProbeRequest{Images: candidates, Platforms: platforms}, l.registries)
	if nonRoot {
		l.CheckUsers(ctx, results, platforms)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.Rules = l.Rules.Choose(registry.Choices(results)...)
	var findings []installer.Finding
	for _, r := range results {
		if r.Status.Fatal() {
			findings = append(findings, installer.Finding{Category: "images", Fatal: true,
				Sentence: fmt.Sprintf("%s: %s (%s)", r.Image.To, r.Status, r.Err), Remedy: r.Remedy})
		}
	}
	if len(findings) == 0 {
		fmt.Fprintf(errOut, "the mirror holds all %d images\n", len(results))
		return nil, nil
	}
	return findings, registry.WriteTable(errOut, results)
}

// load reads the manifests of Tekton: those that are named, and the others from a line. news are
// sentences about what this program does not know about them, see newsOf.
func (s *Source) load(
	ctx context.Context, streams cli.Streams, line release.Line,
) (objects []*unstructured.Unstructured, news []string, err error) {
	if slices.Contains(s.pipeline, "-") && slices.Contains(s.triggers, "-") {
		return nil, nil, errors.New(
			"standard input can be one manifest only: --pipeline-manifest and --triggers-manifest both say -")
	}
	if _, err := s.pins.loader(nil, len(s.pipeline)+len(s.triggers) > 0); err != nil {
		return nil, nil, err
	}
	for _, component := range []struct {
		sources, embedded []string
	}{{s.pipeline, []string{"pipeline"}}, {s.triggers, []string{"triggers", "triggers-interceptors"}}} {
		found, err := s.loadOr(ctx, component.sources, streams, line, component.embedded...)
		if err != nil {
			return nil, nil, err
		}
		if len(component.sources) > 0 {
			more, err := newsOf(found, component.embedded...)
			if err != nil {
				return nil, nil, err
			}
			news = append(news, more...)
		}
		objects = append(objects, found...)
	}
	if !slices.ContainsFunc(objects,
		func(o *unstructured.Unstructured) bool { return o.GetKind() == "ClusterInterceptor" }) {
		streams.Warn(
			"the Triggers manifests hold no ClusterInterceptor: without interceptors.yaml no EventListener starts; name it with another --triggers-manifest")
	}
	return objects, news, nil
}

// loadOr reads the sources, or the embedded manifests of a line if there are none.
func (s *Source) loadOr(
	ctx context.Context, sources []string, streams cli.Streams, line release.Line, embedded ...string,
) ([]*unstructured.Unstructured, error) {
	if len(sources) > 0 {
		return s.pins.loadAll(ctx, sources, streams.In)
	}
	var objects []*unstructured.Unstructured
	for _, name := range embedded {
		read, err := manifests.TektonOf(line, name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(streams.ErrOut, "%s %s (embedded), %d objects\n", read.Name, read.Version, len(read.Objects))
		objects = append(objects, read.Objects...)
	}
	return objects, nil
}

// configure puts the configuration into Tekgate's own objects.
func configure(own []*unstructured.Unstructured, c *config.Configuration) error {
	text, err := c.Servers()
	if err != nil {
		return err
	}
	if err := manifest.SetConfig(own, text); err != nil {
		return err
	}
	if err := manifest.SetFailurePolicies(own, c.Install.Failing()); err != nil {
		return err
	}
	if len(c.Install.APIServerCIDRs) > 0 {
		if err := manifest.SetAPIServerCIDRs(own, c.Install.APIServerCIDRs); err != nil {
			return err
		}
	}
	if c.Install.WebhookURL == "" {
		return nil
	}
	return manifest.SetWebhookURL(own, c.Install.WebhookURL)
}

// warnDropped lists every image that loses its digest: then the mirror decides what runs.
func warnDropped(errOut io.Writer, images []image.Rewritten) {
	for _, done := range images {
		if done.DigestDropped {
			fmt.Fprintf(errOut,
				"warning: %s becomes %s without its digest (%s): what that mirror holds under the tag is what will run\n",
				done.From, done.To, done.Rule)
		}
	}
}
