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
	internal "github.com/tekgate/tekgate/internal/release"
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
	network     []*unstructured.Unstructured // NetworkPolicies for Tekton
	references  *manifest.References         // of Objects
	certManager bool                         // it issues the servers' certificates
	chosen      []string                     // components
	without     []string                     // parts that the user removes
	parts       []installer.Part
	dropped     []string // parts that are not installed any more because the user says so
	news        []string // see newsOf
}

// Rendered has the objects that an install would apply.
type Rendered struct {
	Objects []*unstructured.Unstructured
	// Notes are sentences about what this program does not know about the release, and about the
	// declared settings.
	Notes []string

	images     []image.Rewritten
	conditions map[string]string // of the webhooks, from the configuration
	declared   installer.Declared
	parts      []installer.Part
	dropped    []string
}

// Release returns the objects as the installer's argument.
func (r *Rendered) Release() installer.Release {
	versions := installer.VersionsOf(r.Objects, r.parts...)
	versions.Tekgate = manifests.Version
	return installer.Release{Objects: r.Objects, Images: r.images, Versions: versions, Conditions: r.conditions,
		Declared: r.declared, Notes: r.Notes, Parts: r.parts, Dropped: r.dropped}
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
	loaded, err := s.loadChosen(ctx, streams, c, line)
	if err != nil {
		return nil, err
	}
	own, err := manifests.Tekgate()
	if err != nil {
		return nil, err
	}
	copies := manifest.Copies(loaded.objects)
	l := &Loaded{
		Rules: rules.WithCopies(copies), Objects: append(loaded.objects, own...),
		config: c, copies: copies, implicit: s.implicit, registries: s.Registries.Options(), own: own,
		certManager: c.Certificates.Source == config.SourceCertManager, news: loaded.news,
		chosen: loaded.chosen, without: s.parts.without, parts: loaded.parts,
	}
	if err := l.closeNetwork(); err != nil {
		return nil, err
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
	declared, notes, err := l.settle(l.Objects)
	if err != nil {
		return nil, err
	}
	warnDropped(errOut, images)
	return &Rendered{Objects: l.Objects, Notes: slices.Concat(l.news, notes), images: images,
		conditions: conditions, declared: declared, parts: l.parts, dropped: l.dropped}, nil
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

// load reads the manifests of Pipelines and Triggers: those that are named, and the others from a
// line. news are sentences about what this program does not know about them, see newsOf.
func (s *Source) load(
	ctx context.Context, streams cli.Streams, line internal.Line, chosen []string, sources []source,
) (objects []*unstructured.Unstructured, news []string, err error) {
	ofPipeline, ofTriggers := slices.Clone(s.pipeline), slices.Clone(s.triggers)
	all := slices.Concat(ofPipeline, ofTriggers)
	for _, source := range sources {
		all = append(all, source.source)
		switch source.name {
		case internal.Pipelines:
			ofPipeline = append(ofPipeline, source.source)
		case internal.Triggers:
			ofTriggers = append(ofTriggers, source.source)
		}
	}
	if first := slices.Index(all, "-"); first >= 0 && slices.Contains(all[first+1:], "-") {
		return nil, nil, errors.New(
			"standard input can be one manifest only: --pipeline-manifest, --triggers-manifest and --manifest say - more than once")
	}
	if _, err := s.pins.loader(nil, len(all) > 0); err != nil {
		return nil, nil, err
	}
	objects, news, err = s.loadBase(ctx, streams, line, ofPipeline, "pipeline")
	if err != nil || !slices.Contains(chosen, internal.Triggers) {
		return objects, news, err
	}
	triggers, more, err := s.loadBase(ctx, streams, line, ofTriggers, "triggers", "triggers-interceptors")
	if err != nil {
		return nil, nil, err
	}
	if !slices.ContainsFunc(triggers,
		func(o *unstructured.Unstructured) bool { return o.GetKind() == "ClusterInterceptor" }) {
		streams.Warn(
			"the Triggers manifests hold no ClusterInterceptor: without interceptors.yaml no EventListener starts; name it with another --triggers-manifest")
	}
	return append(objects, triggers...), append(news, more...), nil
}

// loadBase reads the sources, or the embedded manifests if there are none, and says what is
// new in the sources.
func (s *Source) loadBase(
	ctx context.Context, streams cli.Streams, line internal.Line, sources []string, embedded ...string,
) (objects []*unstructured.Unstructured, news []string, err error) {
	objects, err = s.loadOr(ctx, sources, streams, line, embedded...)
	if err == nil && len(sources) > 0 {
		news, err = newsOf(objects, embedded...)
	}
	return objects, news, err
}

// loadOr reads the sources, or the embedded manifests of a line if there are none.
func (s *Source) loadOr(
	ctx context.Context, sources []string, streams cli.Streams, line internal.Line, embedded ...string,
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
