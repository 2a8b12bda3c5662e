package mutator

import (
	"fmt"
	"path"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/tekgate/tekgate/internal/image"
)

// Scope is what the configuration of every rule begins with.
type Scope struct {
	// Disabled switches the rule off. It is not called off, which YAML takes for
	// false.
	Disabled bool `json:"disabled,omitempty"`
	// Only limits the rule to what it matches. Nil means no limit.
	Only *Match `json:"only,omitempty"`
	// Except keeps the rule away from what it matches.
	Except *Match `json:"except,omitempty"`
}

// Match selects objects and steps. All that it says has to hold.
type Match struct {
	// Namespaces are names, in which * stands for any characters.
	Namespaces []string `json:"namespaces,omitempty"`
	// Labels select objects by their own labels.
	Labels *metav1.LabelSelector `json:"labels,omitempty"`
	// Images select steps by their images, host and path, as in mirror.rules.
	Images []string `json:"images,omitempty"`
}

// scope is a compiled Scope.
type scope struct {
	on           bool
	only, except *match
}

type match struct {
	namespaces []string
	labels     labels.Selector
	images     []image.Pattern
}

// compileScope reports what is wrong through problem, a sentence each, with the
// path of the field in the rule's section. Of a rule that edits no steps images
// say nothing.
func compileScope(s Scope, on, steps bool, problem func(string, ...any)) scope {
	return scope{
		on:     on && !s.Disabled,
		only:   compileMatch(s.Only, "only", steps, problem),
		except: compileMatch(s.Except, "except", steps, problem),
	}
}

func compileMatch(m *Match, at string, steps bool, problem func(string, ...any)) *match {
	if m == nil {
		return nil
	}
	if len(m.Namespaces) == 0 && m.Labels == nil && len(m.Images) == 0 {
		problem("%s: says nothing: name namespaces, labels or images, or leave it out", at)
	}
	out := &match{namespaces: m.Namespaces}
	for i, pattern := range m.Namespaces {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			problem("%s.namespaces[%d]: %q is not a pattern of names: write a name, with * for any characters", at, i,
				pattern)
		}
	}
	if m.Labels != nil {
		selector, err := metav1.LabelSelectorAsSelector(m.Labels)
		if err != nil {
			problem("%s.labels: %v", at, err)
		}
		out.labels = selector
	}
	if len(m.Images) > 0 && !steps {
		problem("%s.images: the rule is about runs, not steps: select by namespaces or labels", at)
	}
	out.images = compileImages(m.Images, at+".images", problem)
	return out
}

func compileImages(patterns []string, at string, problem func(string, ...any)) []image.Pattern {
	var out []image.Pattern
	for i, text := range patterns {
		pattern, err := image.CompilePattern(text)
		if err != nil {
			problem("%s[%d]: %v", at, i, err)
			continue
		}
		out = append(out, pattern)
	}
	return out
}

// excludes says why an object as a whole is out of the scope, or "".
func (s *scope) excludes(namespace string, set labels.Labels) string {
	if s.only != nil && !s.only.namespace(namespace) {
		return fmt.Sprintf("the rule is limited to other namespaces than %q", namespace)
	}
	if s.only != nil && s.only.labels != nil && !s.only.labels.Matches(set) {
		return "the rule is limited to objects with other labels"
	}
	if e := s.except; e != nil && len(e.images) == 0 && e.namespace(namespace) &&
		(e.labels == nil || e.labels.Matches(set)) {
		return "the configuration excepts it from the rule"
	}
	return ""
}

// excludesImage says why a step is out of a rule's scope, or "". An image that is
// not known matches nothing.
func (p *pass) excludesImage(s *scope, text string) string {
	if s.only == nil && s.except == nil {
		return ""
	}
	known := p.settings.image(text)
	is := func(patterns []image.Pattern) bool { return known.err == nil && image.MatchAny(patterns, known.ref) }
	if s.only != nil && len(s.only.images) > 0 && !is(s.only.images) {
		return "the rule is limited to other images"
	}
	if e := s.except; e != nil && is(e.images) && e.namespace(p.space) &&
		(e.labels == nil || e.labels.Matches(labelled(p.labels))) {
		return "the configuration excepts its image from the rule"
	}
	return ""
}

func (m *match) namespace(name string) bool {
	if len(m.namespaces) == 0 {
		return true
	}
	for _, pattern := range m.namespaces {
		if matched, _ := path.Match(pattern, name); matched {
			return true
		}
	}
	return false
}

// Steps selects steps by name and image. Empty, it selects all.
type Steps struct {
	// Names are names of steps, in which * stands for any characters.
	Names []string `json:"names,omitempty"`
	// Images select by host and path, as in mirror.rules.
	Images []string `json:"images,omitempty"`
}

func (s Steps) empty() bool { return len(s.Names)+len(s.Images) == 0 }

type steps struct {
	names  []string
	images []image.Pattern
}

func compileSteps(s Steps, at string, problem func(string, ...any)) steps {
	for i, pattern := range s.Names {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			problem("%s.names[%d]: %q is not a pattern of names: write a name, with * for any characters", at, i,
				pattern)
		}
	}
	return steps{names: s.Names, images: compileImages(s.Images, at+".images", problem)}
}

// selects tells whether a step is selected. One of the names and one of the images
// has to match, where there are any.
func (p *pass) selects(s *steps, v *view) bool {
	if len(s.images) > 0 {
		known := p.settings.image(v.known)
		if known.err != nil || !image.MatchAny(s.images, known.ref) {
			return false
		}
	}
	if len(s.names) == 0 {
		return true
	}
	for _, pattern := range s.names {
		if matched, _ := path.Match(pattern, v.step.Name()); matched {
			return true
		}
	}
	return false
}

// within tells whether the clean path inner is outer or lies below it.
func within(outer, inner string) bool {
	rest, below := strings.CutPrefix(inner, strings.TrimSuffix(outer, "/"))
	return below && (rest == "" || rest[0] == '/')
}
