package image

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// Mirror is the section `mirror` of the configuration file.
type Mirror struct {
	// Preset names a known mirror; its rules come after Rules. See Presets.
	Preset string `json:"preset,omitempty"`
	// Registry is a host and path under which Tekton's images lie as
	// <component>-<binary> and all others as the last element of their path;
	// its rules come after Rules.
	Registry string `json:"registry,omitempty"`
	// Rules are tried in their order; the first that applies wins.
	Rules []Rule `json:"rules,omitempty"`
	// Keep lists patterns of images that stay where they are.
	Keep []string `json:"keep,omitempty"`
}

// Rule sends the images that it matches to a mirror.
type Rule struct {
	// Match is a pattern of host and path. "*" stands for anything within one
	// path element, "**" for any number of elements: "ghcr.io/tektoncd/**".
	Match string `json:"match"`
	// To is where they go: a repository with placeholders, and optionally a
	// tag. {host} and {path} are the image's own, {name} is the last element of
	// its path, {component} and {binary} say what a Tekton image holds,
	// {tag} is its tag. A rule whose placeholders have no value for an image
	// does not apply to it. Where To has no tag, the image's tag and digest are
	// kept.
	To string `json:"to"`
	// Digest says what becomes of an image's digest: keep (the default), or
	// drop, for mirrors that were filled by pull, tag and push and so have
	// digests of their own.
	Digest string `json:"digest,omitempty"`
	// Optional allows a rule to match no image of a release. Without it such a
	// rule is taken for a mistake.
	Optional bool `json:"optional,omitempty"`
}

// What Rule.Digest may say.
const (
	DigestKeep = "keep"
	DigestDrop = "drop"
)

// Rules are compiled rules of a Mirror. They are safe for concurrent use.
type Rules struct {
	rules []rule
	keep  []*regexp.Regexp
}

type rule struct {
	Rule
	// source names the rule to people, for example `mirror.rules[2]`.
	source  string
	pattern *regexp.Regexp
	// done matches repositories that this rule leads to.
	done *regexp.Regexp
}

// Compile checks a Mirror and prepares it. The error joins one sentence per
// mistake.
func (m Mirror) Compile() (*Rules, error) {
	var c compiler
	for i, r := range m.Rules {
		c.add(r, fmt.Sprintf("mirror.rules[%d]", i))
	}
	if m.Preset != "" {
		c.preset(m.Preset)
	}
	if m.Registry != "" {
		c.registry(m.Registry)
	}
	for i, k := range m.Keep {
		c.keepPattern(k, fmt.Sprintf("mirror.keep[%d]", i))
	}
	return &c.Rules, errors.Join(c.problems...)
}

// Empty reports whether nothing would ever be rewritten or kept.
func (m Mirror) Empty() bool {
	return m.Preset == "" && m.Registry == "" && len(m.Rules) == 0 && len(m.Keep) == 0
}

type compiler struct {
	Rules
	problems []error
}

func (c *compiler) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

func (c *compiler) preset(name string) {
	i := slices.IndexFunc(Presets, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		c.problem("mirror.preset: %q is not known: choose one of %s, or name a registry with mirror.registry", name, strings.Join(presetNames(), ", "))
		return
	}
	for _, r := range Presets[i].Rules {
		c.add(r, "preset "+name)
	}
	for _, k := range Presets[i].Keep {
		c.keepPattern(k, "preset "+name)
	}
}

func (c *compiler) registry(registry string) {
	registry = strings.TrimSuffix(registry, "/")
	host, _, hasPath := strings.Cut(registry, "/")
	switch {
	case strings.Contains(registry, "://"):
		c.problem("mirror registry %q: leave out the scheme; a registry is named by host and path, such as registry.example.com/tekton", registry)
		return
	case !hasPath && !strings.ContainsAny(host, ".:") && host != "localhost":
		c.problem("mirror %q is neither a preset (%s) nor a registry: name a registry by host and path, such as registry.example.com/tekton", registry, strings.Join(presetNames(), ", "))
		return
	}
	if _, err := Parse(registry + "/x"); err != nil {
		c.problem("mirror registry %q: %w", registry, err)
		return
	}
	source := "registry " + registry
	c.add(Rule{Match: "**", To: registry + "/{component}-{binary}"}, source)
	c.add(Rule{Match: "**", To: registry + "/{name}"}, source)
}

func (c *compiler) keepPattern(pattern, source string) {
	re, err := compilePattern(pattern)
	if err != nil {
		c.problem("%s: %w", source, err)
		return
	}
	c.keep = append(c.keep, re)
}

func (c *compiler) add(r Rule, source string) {
	pattern, err := compilePattern(r.Match)
	if err != nil {
		c.problem("%s.match: %w", source, err)
		return
	}
	done, err := compileTarget(r.To)
	if err != nil {
		c.problem("%s.to: %w", source, err)
		return
	}
	if !slices.Contains([]string{"", DigestKeep, DigestDrop}, r.Digest) {
		c.problem("%s.digest: %q is not known: say %s or %s", source, r.Digest, DigestKeep, DigestDrop)
		return
	}
	c.rules = append(c.rules, rule{Rule: r, source: source, pattern: pattern, done: done})
}

// compilePattern turns a pattern of host and path into a regular expression.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	if pattern != "**" && !strings.Contains(pattern, "/") {
		return nil, fmt.Errorf("pattern %q can match no image: it has to cover host and path, such as %q", pattern, pattern+"/**")
	}
	if strings.ContainsAny(pattern, "@ {}") || strings.Contains(pattern[strings.LastIndex(pattern, "/")+1:], ":") {
		return nil, fmt.Errorf("pattern %q: a pattern covers host and path, without tag, digest or placeholders", pattern)
	}
	expr := regexp.QuoteMeta(pattern)
	expr = strings.ReplaceAll(expr, `\*\*`, `.+`)
	expr = strings.ReplaceAll(expr, `\*`, `[^/]+`)
	return regexp.Compile("^" + expr + "$")
}

var placeholder = regexp.MustCompile(`\{[^}]*\}?`)

// examples are values for placeholders that make any right template a right
// reference.
var examples = map[string]string{
	"{host}": "example.com", "{path}": "a/b", "{name}": "b",
	"{component}": "pipeline", "{binary}": "controller", "{tag}": "v1",
}

// compileTarget checks a template and returns what its results look like.
func compileTarget(template string) (*regexp.Regexp, error) {
	for _, p := range placeholder.FindAllString(template, -1) {
		if _, known := examples[p]; !known {
			return nil, fmt.Errorf("template %q: placeholder %s is not known: there are {host}, {path}, {name}, {component}, {binary} and {tag}", template, p)
		}
	}
	example := placeholder.ReplaceAllStringFunc(template, func(p string) string { return examples[p] })
	ref, err := reference.ParseNormalizedNamed(example)
	if err != nil {
		return nil, fmt.Errorf("template %q gives no image reference (for example %q): %w", template, example, err)
	}
	if host, _, _ := strings.Cut(example, "/"); host != reference.Domain(ref) {
		return nil, fmt.Errorf("template %q has to begin with the mirror's host, such as %q", template, reference.Domain(ref)+"/"+template)
	}
	repository, _ := splitTag(template)
	parts := placeholder.Split(repository, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.Compile("^" + strings.Join(parts, ".+") + "$")
}

// splitTag cuts a template before its tag or digest.
func splitTag(template string) (repository, tag string) {
	last := strings.LastIndex(template, "/") + 1
	if i := strings.IndexAny(template[last:], ":@"); i >= 0 {
		return template[:last+i], template[last+i:]
	}
	return template, ""
}

// Rewritten says where an image goes, and by which rule.
type Rewritten struct {
	From, To Reference
	// Rule names the rule, for example `mirror.rules[0]`. It is empty where the
	// image stays as it is, being kept or on the mirror already.
	Rule string
	// DigestDropped says that the source was pinned and the result is not.
	DigestDropped bool
}

// UnmirroredError says that no rule applies to an image.
type UnmirroredError struct{ Ref Reference }

func (e *UnmirroredError) Error() string {
	return fmt.Sprintf("image %s: no mirror rule applies to it: add one for %s/** under mirror.rules, or list it under mirror.keep", e.Ref, e.Ref.Host)
}

// Rewrite returns where an image goes. An image that no rule applies to is an
// UnmirroredError.
func (r *Rules) Rewrite(ref Reference) (Rewritten, error) {
	for _, keep := range r.keep {
		if keep.MatchString(ref.Repository()) {
			return Rewritten{From: ref, To: ref}, nil
		}
	}
	if r.onMirror(ref) {
		return Rewritten{From: ref, To: ref}, nil
	}
	for _, rule := range r.rules {
		if to, ok := rule.apply(ref); ok {
			return to, nil
		}
	}
	return Rewritten{}, &UnmirroredError{Ref: ref}
}

// onMirror reports whether a reference is where some rule leads to, so that
// rewriting twice changes nothing.
func (r *Rules) onMirror(ref Reference) bool {
	return slices.ContainsFunc(r.rules, func(rule rule) bool { return rule.done.MatchString(ref.Repository()) })
}

// Unused returns the names of the rules that apply to none of the images and
// are not marked as optional. Preset rules are never among them.
func (r *Rules) Unused(images []Reference) []string {
	var unused []string
	for _, rule := range r.rules {
		if rule.Optional || !strings.HasPrefix(rule.source, "mirror.") {
			continue
		}
		applies := func(ref Reference) bool {
			won, err := r.Rewrite(ref)
			return err == nil && (won.Rule == rule.source || rule.done.MatchString(ref.Repository()))
		}
		if !slices.ContainsFunc(images, applies) {
			unused = append(unused, fmt.Sprintf("%s (%q)", rule.source, rule.Match))
		}
	}
	return unused
}

// apply rewrites one image. The living name of an image is tried before the
// one that is written, so that a prefix mirror is asked for what it can fetch.
func (r rule) apply(ref Reference) (Rewritten, bool) {
	source := ref.Canonical()
	if !r.pattern.MatchString(source.Repository()) {
		source = ref
	}
	if !r.pattern.MatchString(source.Repository()) {
		return Rewritten{}, false
	}
	filled, ok := fill(r.To, source)
	if !ok {
		return Rewritten{}, false
	}
	to, err := Parse(filled)
	if err != nil {
		return Rewritten{}, false
	}
	_, ownTag := splitTag(r.To)
	if ownTag == "" {
		to.Tag = ref.Tag
	}
	// A tag of the mirror's own choice names another image, to which the
	// digest does not belong.
	if r.Digest != DigestDrop && to.Digest == "" && to.Tag == ref.Tag {
		to.Digest = ref.Digest
	}
	return Rewritten{From: ref, To: to, Rule: r.source, DigestDropped: ref.Digest != "" && to.Digest == ""}, true
}

// fill puts an image's values into a template; ok is false when one is missing.
func fill(template string, ref Reference) (filled string, ok bool) {
	component, binary, tekton := ref.Tekton()
	if !tekton {
		component, binary = "", ""
	}
	values := map[string]string{
		"{host}": ref.Host, "{path}": ref.Path, "{name}": ref.Path[strings.LastIndex(ref.Path, "/")+1:],
		"{component}": component, "{binary}": binary, "{tag}": ref.Tag,
	}
	ok = true
	filled = placeholder.ReplaceAllStringFunc(template, func(p string) string {
		ok = ok && values[p] != ""
		return values[p]
	})
	return filled, ok
}
