package image

import (
	"slices"
	"strings"
)

// WithCopies returns rules that treat each key of copies as the image that it is a copy
// of, with the upstream name that the map gives. A key is the reference as String returns
// it. The rules that it is called on do not change.
//
// A copy keeps its own name where the configuration is about that name: see copyOf.
func (r *Rules) WithCopies(copies map[string]Reference) *Rules {
	with := *r
	with.copies = copies
	return &with
}

// copyOf returns the upstream name of a copy. ok is false for an image that is none, and
// for a copy whose own name counts, because
//   - mirror.images or mirror.keep names it, or a preset keeps it,
//   - it has the name that the mirror gives the upstream image, which has to have a rule, or
//   - a rule of the user names its repository or a folder of its registry.
func (r *Rules) copyOf(ref Reference) (origin Reference, ok bool) {
	origin, ok = r.copies[ref.String()]
	if !ok || r.overridden(ref) || r.kept(ref) != "" || r.namedByRule(ref, origin) {
		return Reference{}, false
	}
	candidates, err := r.candidates(origin)
	return origin, err == nil && !slices.ContainsFunc(candidates, func(c Rewritten) bool {
		return c.To.Repository() == ref.Repository()
	})
}

// ofCopy returns the candidates of a copy: those of the upstream image, and then the copy
// itself if it is somewhere on the mirror.
func (r *Rules) ofCopy(ref, origin Reference) ([]Rewritten, error) {
	found, err := r.unpinned(origin)
	if err != nil {
		return nil, err
	}
	for _, rule := range r.rules {
		if rule.leadsTo(ref.Repository()) {
			itself := Rewritten{From: origin, To: ref, Rule: rule.source, Policy: rule.Digest}
			return append(slices.Clone(found), itself), nil
		}
	}
	return found, nil
}

// overridden reports whether mirror.images names an image, or the place that it is at.
func (r *Rules) overridden(ref Reference) bool {
	_, ok := r.overrideFor(ref)
	return ok || slices.ContainsFunc(r.overrides, func(o override) bool { return o.leadsTo(ref) })
}

// namedByRule reports whether the first rule for a copy is one that the user wrote for the
// place where the copy is: its pattern has more than a host, and does not match upstream.
func (r *Rules) namedByRule(ref, origin Reference) bool {
	for _, rule := range r.rules {
		if !rule.matches(ref) {
			continue
		}
		exact, _, _ := strings.Cut(rule.Match, "*")
		_, folder, _ := strings.Cut(exact, "/")
		return folder != "" && strings.HasPrefix(rule.source, "mirror.") && !rule.matches(origin)
	}
	return false
}
