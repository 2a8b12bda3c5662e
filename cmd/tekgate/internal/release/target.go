package release

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
)

// Target is a release and the cluster that it is installed in or compared with.
type Target struct {
	Source  Source
	Kube    kubeflags.Flags
	Options installer.Options
	// SkipProbe leaves the mirror out of the checks.
	SkipProbe bool

	previous []string
}

// Flags adds the flags that name the release and the cluster. Install and diff describe
// --previous-manifest in different words.
func (t *Target) Flags(cmd *cobra.Command, previous string) {
	t.Source.Flags(cmd)
	t.Source.parts.removalFlag(cmd.Flags())
	t.Kube.Add(cmd)
	cmd.Flags().StringArrayVar(&t.previous, "previous-manifest", nil, previous)
}

// Connect connects to the cluster, and renders the release for it.
func (t *Target) Connect(ctx context.Context, s cli.Streams) (*installer.Cluster, installer.Release, error) {
	var none installer.Release
	config, err := t.Kube.RESTConfig()
	if err != nil {
		return nil, none, err
	}
	t.Source.pins.previous = len(t.previous) > 0
	loaded, err := t.Source.Read(ctx, s)
	if err != nil {
		return nil, none, err
	}
	if t.Options.Previous, err = t.Source.pins.loadAll(ctx, t.previous, s.In); err != nil {
		return nil, none, err
	}
	t.Options.Released, t.Options.LineImplied = released, t.Source.lineImplied
	cluster, err := installer.Connect(ctx, config)
	if err != nil {
		return nil, none, err
	}
	release, err := t.fit(ctx, cluster, loaded, s.ErrOut)
	return cluster, release, err
}

// fit renders the release with what the cluster needs: certificates from an issuer that
// it has, and images that the mirror has for the platforms of its nodes.
func (t *Target) fit(
	ctx context.Context, cluster *installer.Cluster, l *Loaded, errOut io.Writer,
) (release installer.Release, err error) {
	kept, err := l.keep(ctx, cluster)
	if err != nil {
		return release, err
	}
	unrecorded, err := l.unrecorded(ctx, cluster)
	if err != nil {
		return release, err
	}
	note, issuer, err := l.decide(ctx, cluster)
	if err != nil {
		return release, err
	}
	label, err := l.labelSecrets(ctx, cluster)
	if err != nil {
		return release, err
	}
	images, err := t.probe(ctx, cluster, l, errOut)
	if err != nil {
		return release, err
	}
	t.Options.Findings = slices.Concat(images, issuer)
	ports, err := cluster.APIServerPorts(ctx)
	if err != nil {
		return release, err
	}
	if err := manifest.AllowAPIServerPorts(l.policies(), ports); err != nil {
		return release, err
	}
	rendered, err := l.Render(errOut)
	if err != nil {
		return release, err
	}
	release = rendered.Release()
	release.Notes = slices.Concat([]string{note}, label, kept, unrecorded, release.Notes)
	release.Objects, err = t.trust(release.Objects)
	return release, err
}

// probe checks that the mirror has the images.
func (t *Target) probe(
	ctx context.Context, cluster *installer.Cluster, l *Loaded, errOut io.Writer,
) ([]installer.Finding, error) {
	if t.SkipProbe {
		return nil, nil
	}
	// Images without a rule are reported before minutes are spent on a slow mirror.
	if err := l.references.Check(l.Rules); err != nil {
		return nil, err
	}
	platforms, err := cluster.Platforms(ctx)
	if err != nil {
		return nil, err
	}
	nonRoot, err := l.nonRootIn(ctx, cluster, t.Options.Previous)
	if err != nil {
		return nil, err
	}
	return l.probe(ctx, platforms, nonRoot, errOut)
}

// trust makes Tekton's controllers trust the authorities in --ca-file, and returns the objects.
func (t *Target) trust(objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	file := t.Source.Registries.CAFile
	if file == "" {
		return objects, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the CA file: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the CA file %s: it holds no certificate in PEM form", file)
	}
	return manifest.SetRegistryCA(objects, string(pem))
}
