package installer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
)

// Rewrite sends every image reference in the objects to its mirror, in place,
// and returns what went where, once per image. It fails, saying everything
// that is wrong at once, when an image has no rule, when two images would end
// up under one name, when a rule applies to nothing, and when any other string
// still names an upstream registry: an image that the rewriting does not know
// of would hang a TaskRun much later.
func Rewrite(objects []*unstructured.Unstructured, rules *image.Rules) ([]image.Rewritten, error) {
	r := rewriter{rules: rules, seen: map[string]image.Rewritten{}}
	for _, obj := range objects {
		for _, field := range object.Images(obj.Object) {
			r.field(obj, field)
		}
	}
	r.collisions()
	r.unused()
	if len(r.problems) == 0 {
		for _, obj := range objects {
			r.residue(obj)
		}
	}
	return r.images(), errors.Join(r.problems...)
}

// Candidates returns, for each image in the objects, every place where the
// mirror may hold it; it is what a probe asks for. What no rule applies to is
// left out, for Rewrite says so.
func Candidates(objects []*unstructured.Unstructured, rules *image.Rules) [][]image.Rewritten {
	var all [][]image.Rewritten
	seen := map[string]bool{}
	for _, obj := range objects {
		for _, field := range object.Images(obj.Object) {
			ref, err := image.Parse(field.Value)
			if err != nil || seen[field.Value] {
				continue
			}
			seen[field.Value] = true
			if candidates, err := rules.Candidates(ref); err == nil {
				all = append(all, candidates)
			}
		}
	}
	return all
}

type rewriter struct {
	rules    *image.Rules
	seen     map[string]image.Rewritten // by the reference as written
	order    []string
	problems []error
}

func (r *rewriter) field(obj *unstructured.Unstructured, field *object.ImageField) {
	written := field.Value
	done, seen := r.seen[written]
	if !seen {
		ref, err := image.Parse(written)
		if err == nil {
			done, err = r.rules.Rewrite(ref)
		}
		if err != nil {
			r.problems = append(r.problems, fmt.Errorf("%s: %s: %w", name(obj), field.Path, err))
		}
		r.seen[written] = done
		r.order = append(r.order, written)
	}
	if done.Rule != "" {
		field.Set(done.To.String())
	}
}

func (r *rewriter) images() []image.Rewritten {
	images := make([]image.Rewritten, 0, len(r.order))
	for _, written := range r.order {
		if done := r.seen[written]; done.From.Path != "" {
			images = append(images, done)
		}
	}
	return images
}

// collisions finds images that differ upstream and would not on the mirror.
func (r *rewriter) collisions() {
	sources := map[string]image.Reference{}
	for _, done := range r.images() {
		if done.Rule == "" {
			continue
		}
		to := done.To.String()
		first, taken := sources[to]
		if !taken {
			sources[to] = done.From
			continue
		}
		if first.Canonical().Repository() != done.From.Canonical().Repository() {
			r.problems = append(r.problems, fmt.Errorf("images %s and %s would both become %s: give one of them a rule of its own under mirror.rules", first, done.From, to))
		}
	}
}

func (r *rewriter) unused() {
	var refs []image.Reference
	for _, done := range r.images() {
		refs = append(refs, done.From)
	}
	for _, rule := range r.rules.Unused(refs) {
		r.problems = append(r.problems, fmt.Errorf("%s applies to no image of this release: correct it, remove it, or mark it `optional: true` if it is meant for other images", rule))
	}
}

// upstream are the registries that Tekton's releases, its Tasks and their
// builders live on. A string that names one is a reference that was missed.
var upstream = []string{
	"gcr.io", "ghcr.io", "cgr.dev", "mcr.microsoft.com", "distroless.dev", "docker.io", "quay.io",
	"registry.k8s.io", "public.ecr.aws", "registry.access.redhat.com", "registry.redhat.io",
}

// inText finds what may be an image reference within a longer string. A URL's
// host follows a slash and is none.
var inText = regexp.MustCompile(`(?:^|[^\w./:@-])((?:[a-z0-9-]+\.)+[a-z]+(?::\d+)?/[\w./-]*\w(?::[\w.-]*\w)?(?:@sha256:[0-9a-f]{64})?)`)

// residue refuses what still names an upstream registry after the rewriting.
func (r *rewriter) residue(obj *unstructured.Unstructured) {
	var left []string
	object.Strings(obj.Object, func(path, value string) {
		for _, match := range inText.FindAllStringSubmatch(value, -1) {
			ref, err := image.Parse(match[1])
			if err != nil || !isUpstream(ref.Host) {
				continue
			}
			if done, err := r.rules.Rewrite(ref); err == nil && done.Rule == "" {
				continue
			}
			left = append(left, fmt.Sprintf("%s: %s names %s, which is not mirrored and stands where Tekgate does not rewrite: change it in the manifest, or list it under mirror.keep", name(obj), path, ref))
		}
	})
	slices.Sort(left)
	for _, l := range left {
		r.problems = append(r.problems, errors.New(l))
	}
}

func isUpstream(host string) bool {
	return slices.ContainsFunc(upstream, func(u string) bool {
		return host == u || strings.HasSuffix(host, "."+u)
	})
}

// name is how an object is called in messages: kind, namespace and name.
func name(obj *unstructured.Unstructured) string {
	if obj.GetNamespace() == "" {
		return obj.GetKind() + "/" + obj.GetName()
	}
	return obj.GetKind() + "/" + obj.GetNamespace() + "/" + obj.GetName()
}
