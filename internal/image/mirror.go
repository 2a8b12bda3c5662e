package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/problems"
)

// Mirror is the section `mirror` of the configuration file.
type Mirror struct {
	// Preset names a known mirror; its rules come after Rules. See Presets.
	Preset string `json:"preset,omitempty"`
	// Registry is a host and path under which all images lie, arranged as
	// Layout says; its rules come after Rules.
	Registry string `json:"registry,omitempty"`
	// Layout names how Registry arranges images, component-binary if empty. See
	// Layouts.
	Layout string `json:"layout,omitempty"`
	// Digest is the digest policy of Registry, Preset, Keep and of all Rules that
	// have none of their own: keep, drop, relock or published. Empty leaves a
	// preset its own, and keeps otherwise.
	Digest string `json:"digest,omitempty"`
	// Images sends single images to where they are, before any rule. A key is an
	// image with or without tag and digest, the more exact key wins; a value is
	// a repository, and with a tag or digest an image.
	Images map[string]string `json:"images,omitempty"`
	// Rules are tried in their order; the first that applies wins.
	Rules []Rule `json:"rules,omitempty"`
	// Keep lists patterns of images that stay where they are.
	Keep []string `json:"keep,omitempty"`
	// Former lists the mirrors that there were before, each written as this section was at
	// the time. An image that has its name on one of them is treated as if its upstream
	// name were written in its place.
	Former []Mirror `json:"former,omitempty"`
}

// Rule sends the images that it matches to a mirror.
type Rule struct {
	// Match is a pattern of host and path. "*" stands for anything within one
	// path element, "**" for any number of elements: "ghcr.io/tektoncd/**".
	Match string `json:"match"`
	// To is where they go: repositories with placeholders, and optionally a
	// tag; those after the first are fallbacks, in their order. See
	// Placeholders. A target whose placeholders have no value for an image does
	// not apply to it, nor does a rule without a target that applies. Where a
	// target has no tag, the image's own tag is kept.
	To Targets `json:"to"`
	// Digest says what becomes of an image's digest: keep (the default); drop,
	// for mirrors that were filled by pull, tag and push and so have digests of
	// their own; relock, to pin the mirror's own digest once it has been
	// proven to be the same image; or published, to pin each of Tekton's images
	// to the digest that Tekton published for it, and otherwise like keep.
	Digest string `json:"digest,omitempty"`
	// Optional allows a rule to match no image of a release. Without it such a
	// rule is taken for a mistake.
	Optional bool `json:"optional,omitempty"`
}

// Targets is one template or a list of them, in order of preference.
type Targets []string

// UnmarshalJSON accepts a string or a list of strings.
func (t *Targets) UnmarshalJSON(data []byte) error {
	var one string
	if err := json.Unmarshal(data, &one); err == nil {
		*t = Targets{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return errors.New("must be a string or a list of strings")
	}
	*t = list
	return nil
}

// MarshalJSON writes a single target as a string.
func (t Targets) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// What Rule.Digest and Mirror.Digest may say.
const (
	DigestKeep      = "keep"
	DigestDrop      = "drop"
	DigestRelock    = "relock"
	DigestPublished = "published"
)

var digestPolicies = []string{"", DigestKeep, DigestDrop, DigestRelock, DigestPublished}

// unknownPolicy returns what is wrong with a digest policy, "" if nothing is.
func unknownPolicy(digest string) string {
	if slices.Contains(digestPolicies, digest) {
		return ""
	}
	return fmt.Sprintf("%q is not known: say %s, %s, %s or %s", digest, DigestKeep, DigestDrop, DigestRelock,
		DigestPublished)
}

// Rules are compiled rules of a Mirror. They are safe for concurrent use.
type Rules struct {
	overrides []override
	rules     []rule
	keep      []keep
	formers   []former
	chosen    map[string]Rewritten // by From
	copies    map[string]Reference // upstream names, see WithCopies
	digest    string               // the policy of Mirror.Digest
	published Lookup               // see WithPublished
}

type rule struct {
	Rule
	// source names the rule to people, for example `mirror.rules[2]`.
	source  string
	pattern Pattern
	targets []target
}

type keep struct {
	source  string
	pattern Pattern
	exact   int // how many bytes of the pattern stand before its first *
}

// Compile checks a Mirror and prepares it. The error joins one sentence per
// mistake.
func (m Mirror) Compile() (*Rules, error) {
	c := compiler{Rules: Rules{digest: m.Digest}}
	if problem := unknownPolicy(m.Digest); problem != "" {
		c.problem("mirror.digest: %s", problem)
	}
	for i, r := range m.Rules {
		c.add(r, fmt.Sprintf("mirror.rules[%d]", i))
	}
	if m.Preset != "" {
		c.preset(m.Preset)
	}
	switch {
	case m.Registry != "":
		c.registry(m.Registry, m.Layout)
	case m.Layout != "":
		c.problem("mirror.layout says how mirror.registry arranges images, and there is no mirror.registry")
	}
	for i, k := range m.Keep {
		c.keepPattern(k, fmt.Sprintf("mirror.keep[%d]", i))
	}
	for _, from := range slices.Sorted(maps.Keys(m.Images)) {
		c.override(from, m.Images[from])
	}
	c.chains()
	if len(m.Former) > 0 && m.Empty() {
		c.problem("mirror.former: there is no mirror beside it: name one, or write `preset: upstream` to use the upstream registries again")
	}
	c.former(m.Former, "mirror.")
	return &c.Rules, errors.Join(c.problems...)
}

// former compiles former mirrors. Those of a former mirror are former mirrors, too.
func (c *compiler) former(mirrors []Mirror, at string) {
	for i, m := range mirrors {
		source := fmt.Sprintf("%sformer[%d]", at, i)
		if m.Empty() {
			c.problem("%s: it is empty: write what the section mirror was at the time", source)
		}
		before := m.Former
		m.Former = nil
		rules, err := m.Compile()
		for _, problem := range problems.Split(err) {
			if field, is := strings.CutPrefix(problem.Error(), "mirror."); is {
				c.problem("%s.%s", source, field)
				continue
			}
			c.problem("%s: %w", source, problem)
		}
		c.formers = append(c.formers, former{source, rules})
		c.former(before, source+".")
	}
}

// Empty reports whether nothing would ever be rewritten or kept. Former mirrors do not count.
func (m Mirror) Empty() bool {
	return m.Preset == "" && m.Registry == "" && len(m.Images) == 0 && len(m.Rules) == 0 && len(m.Keep) == 0
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
		c.problem(
			"mirror.preset: %q is not known: choose one of %s, or name a registry with mirror.registry",
			name,
			strings.Join(presetNames(), ", "),
		)
		return
	}
	for _, r := range Presets[i].Rules {
		if c.digest != "" {
			r.Digest = c.digest
		}
		c.add(r, "preset "+name)
	}
	for _, k := range Presets[i].Keep {
		c.keepPattern(k, "preset "+name)
	}
}

func (c *compiler) registry(registry, layout string) {
	registry = strings.TrimSuffix(registry, "/")
	host, _, hasPath := strings.Cut(registry, "/")
	switch {
	case strings.Contains(registry, "://"):
		c.problem(
			"mirror registry %q: leave out the scheme; a registry is named by host and path, such as registry.example.com/tekton",
			registry,
		)
		return
	case !hasPath && !strings.ContainsAny(host, ".:") && host != "localhost":
		c.problem(
			"mirror %q is neither a preset (%s) nor a registry: name a registry by host and path, such as registry.example.com/tekton",
			registry,
			strings.Join(presetNames(), ", "),
		)
		return
	}
	if _, err := Parse(registry + "/a/b"); err != nil {
		c.problem("mirror registry %q: %w", registry, err)
		return
	}
	templates, ok := layoutOf(layout)
	if !ok {
		c.problem("mirror.layout: %q is not known: choose one of %s", layout, strings.Join(layoutNames(), ", "))
		return
	}
	for _, template := range templates {
		c.add(Rule{Match: "**", To: Targets{registry + "/" + template}}, "registry "+registry)
	}
}

func (c *compiler) keepPattern(pattern, source string) {
	re, err := CompilePattern(pattern)
	if err != nil {
		c.problem("%s: %w", source, err)
		return
	}
	exact, _, _ := strings.Cut(pattern, "*")
	c.keep = append(c.keep, keep{source: source, pattern: re, exact: len(exact)})
}

func (c *compiler) add(r Rule, source string) {
	pattern, err := CompilePattern(r.Match)
	if err != nil {
		c.problem("%s.match: %w", source, err)
		return
	}
	if len(r.To) == 0 {
		c.problem("%s.to: say where the images go, such as %q", source, "registry.example.com/tekton/{name}")
		return
	}
	targets := make([]target, 0, len(r.To))
	for _, template := range r.To {
		t, err := compileTarget(template)
		if err != nil {
			c.problem("%s.to: %w", source, err)
			return
		}
		targets = append(targets, t)
	}
	if problem := unknownPolicy(r.Digest); problem != "" {
		c.problem("%s.digest: %s", source, problem)
		return
	}
	if r.Digest == "" {
		r.Digest = c.digest
	}
	c.rules = append(c.rules, rule{Rule: r, source: source, pattern: pattern, targets: targets})
}

// Fingerprint returns bytes that differ where the rules differ. Those of no rules
// are empty.
func (r *Rules) Fingerprint() []byte {
	if r == nil {
		return nil
	}
	var b strings.Builder
	for _, o := range r.overrides {
		fmt.Fprintf(&b, "%s>%s %s\n", o.key, o.to, o.digest)
	}
	for _, rule := range r.rules {
		fmt.Fprintf(&b, "%s>%s %s\n", rule.Match, strings.Join(rule.To, ","), rule.Digest)
	}
	for _, k := range r.keep {
		fmt.Fprintf(&b, "keep %s\n", k.pattern.expr)
	}
	for _, from := range slices.Sorted(maps.Keys(r.chosen)) {
		fmt.Fprintf(&b, "%s=%s\n", from, r.chosen[from].To)
	}
	for _, f := range r.formers {
		fmt.Fprintf(&b, "%s\n%s", f.source, f.rules.Fingerprint())
	}
	return []byte(b.String())
}
