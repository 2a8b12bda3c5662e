package installer_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/manifests"
)

// releaseFile writes the embedded Pipelines release as it is published: one
// YAML file of some 1.6 MB.
func releaseFile(tb testing.TB) (path string, text []byte) {
	tb.Helper()
	rel, err := manifests.Tekton("pipeline")
	if err != nil {
		tb.Fatal(err)
	}
	var file bytes.Buffer
	if err := installer.WriteYAML(&file, rel.Objects); err != nil {
		tb.Fatal(err)
	}
	path = filepath.Join(tb.TempDir(), "release.yaml")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path, file.Bytes()
}

func mirrorRules(tb testing.TB) *image.Rules {
	tb.Helper()
	rules, err := image.Shorthand(mirrorHost + "/tekton").Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return rules
}

// BenchmarkRender compares what `tekgate render` does with kustomize's images
// transformer, on the same release, from file to text. Kustomize rewrites the
// four images that stand in image fields and leaves the six in arguments.
func BenchmarkRender(b *testing.B) {
	path, text := releaseFile(b)
	rules := mirrorRules(b)
	var ours, embedded time.Duration
	b.Run("file", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			objs, err := installer.Load(b.Context(), path, nil)
			if err != nil {
				b.Fatal(err)
			}
			rewriteAndPrint(b, objs, rules)
		}
		ours = b.Elapsed() / time.Duration(b.N)
	})
	b.Run("embedded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rel, err := manifests.Tekton("pipeline")
			if err != nil {
				b.Fatal(err)
			}
			rewriteAndPrint(b, rel.Objects, rules)
		}
		embedded = b.Elapsed() / time.Duration(b.N)
	})
	b.Run("kustomize", func(b *testing.B) {
		fs := kustomization(b, text)
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			result, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, "/k")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := result.AsYaml(); err != nil {
				b.Fatal(err)
			}
		}
		theirs := b.Elapsed() / time.Duration(b.N)
		if ours > 0 && embedded > 0 {
			b.ReportMetric(float64(theirs)/float64(ours), "times-slower-than-file")
			b.ReportMetric(float64(theirs)/float64(embedded), "times-slower-than-embedded")
		}
	})
}

func rewriteAndPrint(b *testing.B, objs []*unstructured.Unstructured, rules *image.Rules) {
	b.Helper()
	if _, err := installer.Rewrite(objs, rules); err != nil {
		b.Fatal(err)
	}
	if err := installer.WriteYAML(io.Discard, objs); err != nil {
		b.Fatal(err)
	}
}

// kustomization returns a folder in memory with the release and a
// kustomization that names its images.
func kustomization(b *testing.B, text []byte) filesys.FileSystem {
	b.Helper()
	var k strings.Builder
	k.WriteString("resources: [release.yaml]\nimages:\n")
	rel, _ := manifests.Tekton("pipeline")
	for _, candidates := range installer.Candidates(rel.Objects, mirrorRules(b)) {
		k.WriteString("- {name: " + candidates[0].From.Repository() + ", newName: " + candidates[0].To.Repository() + "}\n")
	}
	fs := filesys.MakeFsInMemory()
	for name, content := range map[string][]byte{"/k/release.yaml": text, "/k/kustomization.yaml": []byte(k.String())} {
		if err := fs.WriteFile(name, content); err != nil {
			b.Fatal(err)
		}
	}
	return fs
}

// BenchmarkApplyUnchanged compares a second install, its checks and its dry
// run of everything included, with what fluxcd/pkg/ssa's ApplyAll takes for
// the same objects on the same server.
func BenchmarkApplyUnchanged(b *testing.B) {
	c := start(b)
	rel := embedded(b)
	c.install(rel, atOnce)
	var ours time.Duration
	b.Run("tekgate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plan, err := c.Plan(b.Context(), rel, atOnce)
			if err != nil {
				b.Fatal(err)
			}
			done, err := c.Apply(b.Context(), plan, atOnce, silent{})
			if err != nil || len(done.ToGroupedMap()[ssa.UnchangedAction]) != len(rel.Objects) {
				b.Fatalf("not unchanged: %v", err)
			}
		}
		ours = b.Elapsed() / time.Duration(b.N)
	})
	for name, concurrency := range map[string]int{"ssa": 1, "ssa-concurrent": 8} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			k := c.Client()
			manager := ssa.NewResourceManager(k, polling.NewStatusPoller(k, k.RESTMapper(), polling.Options{}), ssa.Owner{Field: installer.FieldManager, Group: "tekgate.dev"})
			manager.SetConcurrency(concurrency)
			for b.Loop() {
				done, err := manager.ApplyAll(context.Background(), rel.Objects, ssa.DefaultApplyOptions())
				if err != nil || len(done.ToGroupedMap()[ssa.UnchangedAction]) != len(rel.Objects) {
					b.Fatalf("not unchanged: %v", err)
				}
			}
			if ours > 0 {
				b.ReportMetric(float64(b.Elapsed()/time.Duration(b.N))/float64(ours), "times-tekgate")
			}
		})
	}
}
