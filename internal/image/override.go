package image

import (
	"fmt"
	"slices"
)

// override sends one image, or one repository, to a place of its own.
type override struct {
	source string    // names it to people
	key    Reference // canonical; without tag or digest it means all of them
	target target
	to     Reference // as written
	digest string
}

func (c *compiler) override(from, to string) {
	source := fmt.Sprintf("mirror.images[%q]", from)
	key, err := Parse(from)
	if err != nil {
		c.problem("%s: %w", source, err)
		return
	}
	ref, err := Parse(to)
	if err != nil {
		c.problem("%s: %w", source, err)
		return
	}
	t := target{template: ref.String(), tagged: ref.Tag != "" || ref.Digest != ""}
	c.overrides = append(
		c.overrides,
		override{source: source, key: key.Canonical(), target: t, to: ref, digest: c.digest},
	)
}

// chains refuses overrides of what an override or a rule leads to, since
// rewriting twice would then go on where rewriting once stopped.
func (c *compiler) chains() {
	for i, o := range c.overrides {
		for j, other := range c.overrides {
			if i != j && o.key.Repository() == other.to.Repository() {
				c.problem(
					"%s: %s leads to that very repository: name the image that stands in the manifests, and where it really is",
					o.source,
					other.source,
				)
			}
		}
		for _, rule := range c.rules {
			if rule.leadsTo(o.key.Repository()) {
				c.problem("%s: %s leads there: name the image that stands in the manifests", o.source, rule.source)
			}
		}
	}
}

// overrideFor returns the most exact override of an image.
func (r *Rules) overrideFor(ref Reference) (override, bool) {
	if slices.ContainsFunc(r.overrides, func(o override) bool { return o.leadsTo(ref) }) {
		return override{}, false
	}
	canonical := ref.Canonical()
	best, exactness := override{}, -1
	for _, o := range r.overrides {
		if n := o.matches(canonical); n > exactness {
			best, exactness = o, n
		}
	}
	return best, exactness >= 0
}

// matches returns how exactly the key names an image, and -1 where it does not.
func (o override) matches(ref Reference) int {
	if o.key.Repository() != ref.Repository() {
		return -1
	}
	n := 0
	if o.key.Tag != "" {
		if o.key.Tag != ref.Tag {
			return -1
		}
		n++
	}
	if o.key.Digest != "" {
		if o.key.Digest != ref.Digest {
			return -1
		}
		n += 2
	}
	return n
}

// leadsTo reports whether an image is one that the override gives.
func (o override) leadsTo(ref Reference) bool {
	if o.to.Repository() != ref.Repository() {
		return false
	}
	return o.to.Repository() != o.key.Repository() || o.apply(ref).To == ref
}

func (o override) apply(ref Reference) Rewritten {
	done := settle(ref, o.to, o.target, o.digest)
	done.Rule = o.source
	return done
}
