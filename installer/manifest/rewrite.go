package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
)

// References are the image references of a release's objects. They are found once; what
// rules make of them can then be checked, probed and written.
type References struct {
	fields   []reference
	mentions []mention
}

// reference is a field of an object that holds an image reference.
type reference struct {
	obj *unstructured.Unstructured
	*object.ImageField
}

// mention is a string in any other field that names an image of an upstream registry.
type mention struct {
	obj  *unstructured.Unstructured
	path string
	ref  image.Reference
}

// FindReferences finds the image references of objects.
func FindReferences(objects []*unstructured.Unstructured) *References {
	r := &References{}
	for _, obj := range objects {
		known := map[string]bool{}
		for _, field := range Images(obj.Object) {
			known[field.Path] = true
			r.fields = append(r.fields, reference{obj, field})
		}
		r.mentions = append(r.mentions, mentionsIn(obj, known)...)
	}
	return r
}

// Rewrite replaces every image reference in objects with its mirror's.
func Rewrite(objects []*unstructured.Unstructured, rules *image.Rules) ([]image.Rewritten, error) {
	return FindReferences(objects).Rewrite(rules)
}

// Rewrite replaces every reference with its mirror's, in place, and returns what replaces
// what, once per image. On an error nothing is replaced: see Check.
func (r *References) Rewrite(rules *image.Rules) ([]image.Rewritten, error) {
	d, err := r.decide(rules)
	if err == nil {
		for _, field := range r.fields {
			// An image that stays may still be pinned.
			if done := d.byText[field.Value]; done.Rule != "" || done.To != done.From {
				field.Set(done.To.String())
			}
		}
	}
	return d.images, err
}

// Check reports, all at once, why Rewrite would fail: an image has no rule, two images
// would get the same name, a rule applies to nothing, or any other string still names an
// upstream registry. An image that the rewriting does not find would make a TaskRun hang
// much later.
func (r *References) Check(rules *image.Rules) error {
	_, err := r.decide(rules)
	return err
}

// Candidates returns, for each image, every place where the mirror may hold it; a probe
// tries these. It leaves out images without a rule, which Check reports.
func (r *References) Candidates(rules *image.Rules) [][]image.Rewritten {
	var all [][]image.Rewritten
	seen := map[string]bool{}
	for _, field := range r.fields {
		ref, err := image.Parse(field.Value)
		if err != nil || seen[field.Value] {
			continue
		}
		seen[field.Value] = true
		if candidates, err := rules.Candidates(ref); err == nil {
			all = append(all, candidates)
		}
	}
	return all
}

// decisions are what rules make of references.
type decisions struct {
	byText map[string]image.Rewritten // by the reference as it is written
	images []image.Rewritten          // those that can be parsed, each once
}

func (r *References) decide(rules *image.Rules) (decisions, error) {
	d := decisions{byText: map[string]image.Rewritten{}, images: []image.Rewritten{}}
	var problems []error
	for _, field := range r.fields {
		if _, seen := d.byText[field.Value]; seen {
			continue
		}
		ref, err := image.Parse(field.Value)
		var done image.Rewritten
		if err == nil {
			done, err = rules.Rewrite(ref)
		}
		if unproven := (*image.PublishedError)(nil); errors.As(err, &unproven) {
			done, _ = rules.WithPublished(nil).Rewrite(ref) // so its rule is in use
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", kube.Name(field.obj), field.Path, err))
		}
		d.byText[field.Value] = done
		if done.From.Path != "" {
			d.images = append(d.images, done)
		}
	}
	problems = append(problems, d.collisions()...)
	problems = append(problems, d.unused(rules)...)
	if len(problems) == 0 {
		problems = r.missed(rules)
	}
	return d, errors.Join(problems...)
}

// collisions returns a problem for each image that differs upstream from another one and
// would not on the mirror.
func (d decisions) collisions() []error {
	var problems []error
	sources := map[string]image.Reference{}
	for _, done := range d.images {
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
			problems = append(problems, fmt.Errorf(
				"images %s and %s would both become %s: give one of them a rule of its own under mirror.rules",
				first, done.From, to))
		}
	}
	return problems
}

func (d decisions) unused(rules *image.Rules) []error {
	var refs []image.Reference
	for _, done := range d.images {
		refs = append(refs, done.From)
	}
	var problems []error
	for _, rule := range rules.Unused(refs) {
		problems = append(problems, fmt.Errorf(
			"%s applies to no image of this release: correct it, remove it, or mark it `optional: true` if it is meant for other images",
			rule,
		))
	}
	return problems
}

// missed returns a problem for each mention of an upstream registry that stays.
func (r *References) missed(rules *image.Rules) []error {
	var problems []error
	rules = rules.WithPublished(nil) // a text is not pinned
	for _, m := range r.mentions {
		if done, err := rules.Rewrite(m.ref); err == nil && done.Rule == "" {
			continue
		}
		problems = append(problems, fmt.Errorf(
			"%s: %s names %s, which is not mirrored and stands where Tekgate does not rewrite: change it in the manifest, or list it under mirror.keep",
			kube.Name(m.obj),
			m.path,
			m.ref,
		))
	}
	return problems
}

// upstream are the registries that Tekton's releases, its Tasks and their
// builders live on. A string that names one is a reference that was missed.
var upstream = []string{
	"gcr.io", "ghcr.io", "cgr.dev", "mcr.microsoft.com", "distroless.dev", "docker.io", "quay.io",
	"registry.k8s.io", "public.ecr.aws", "registry.access.redhat.com", "registry.redhat.io",
}

// inText finds what may be an image reference within a longer string. A URL's
// host follows a slash and is none.
var inText = lazyregexp.New(
	`(?:^|[^\w./:@-])((?:[a-z0-9-]+\.)+[a-z]+(?::\d+)?/[\w./-]*\w(?::[\w.-]*\w)?(?:@sha256:[0-9a-f]{64})?)`,
)

// mentionsIn finds images of upstream registries in the strings of an object, except at
// the paths of known image references.
func mentionsIn(obj *unstructured.Unstructured, known map[string]bool) []mention {
	var mentions []mention
	object.Strings(obj.Object, func(path, value string) {
		if known[path] {
			return
		}
		for _, match := range inText.FindAllStringSubmatch(value, -1) {
			ref, err := image.Parse(match[1])
			if err == nil && isUpstream(ref.Host) {
				mentions = append(mentions, mention{obj, path, ref})
			}
		}
	})
	// The order of a walk through maps is random.
	slices.SortFunc(mentions, func(a, b mention) int {
		return cmp.Or(strings.Compare(a.path, b.path), strings.Compare(a.ref.String(), b.ref.String()))
	})
	return mentions
}

func isUpstream(host string) bool {
	return slices.ContainsFunc(upstream, func(u string) bool {
		return host == u || strings.HasSuffix(host, "."+u)
	})
}
