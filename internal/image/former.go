package image

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// former is one of Mirror.Former, compiled.
type former struct {
	source string // names it to people: mirror.former[0]
	rules  *Rules
}

// FormerError means that an image is on a former mirror, and that its upstream name is not
// certain.
type FormerError struct {
	Ref    Reference
	Former string // such as mirror.former[0]
	// remedy is what to change in the configuration.
	remedy string
}

func (e *FormerError) Error() string {
	return fmt.Sprintf("image %s: %s", e.Ref, e.Reason())
}

// Reason returns the error without the image.
func (e *FormerError) Reason() string {
	return fmt.Sprintf("it is on a former mirror (%s), and its upstream name is not certain: "+
		"write the upstream name in its place, or %s", e.Former, e.remedy)
}

// remedyFor returns what makes the upstream name of an image on the former mirror certain.
func (f former) remedyFor(ref Reference) string {
	if policy, _ := f.rules.policyThatLed(ref); loses(policy, ref) {
		return fmt.Sprintf("add `UPSTREAM:TAG@DIGEST: %s` to %s.images, because the mirror changed digests", ref, f.source)
	}
	for _, o := range f.rules.overrides {
		if _, is := o.invert(ref); o.leadsTo(ref) && is == unknown {
			return fmt.Sprintf("add the tag to the key of %s.%s, because all tags of it led there", f.source,
				strings.TrimPrefix(o.source, "mirror."))
		}
	}
	return fmt.Sprintf("add it to %s.images", f.source)
}

// policyThatLed returns the digest policy of the override or rule that led to a name. ok is false
// if none did.
func (r *Rules) policyThatLed(ref Reference) (policy string, ok bool) {
	for _, o := range r.overrides {
		if o.leadsTo(ref) {
			return o.digest, true
		}
	}
	for _, one := range r.rules {
		if one.leadsTo(ref.Repository()) {
			return one.Digest, true
		}
	}
	return "", false
}

// longestChain bounds how often one name is mapped back: a mirror of a mirror has a name
// within a name.
const longestChain = 8

// Origin returns the upstream name of an image that is on a former mirror, and what that
// mirror is called in the configuration. For all other images it returns the image and "".
// If the upstream name is not certain, the error is a FormerError.
func (r *Rules) Origin(ref Reference) (origin Reference, source string, err error) {
	origin = ref
	for range longestChain {
		before, on, err := r.mapBack(origin)
		switch {
		case err != nil:
			err.Ref = ref
			return ref, "", err
		case on == "":
			return origin, source, nil
		}
		origin, source = before, cmp.Or(source, on)
	}
	return ref, "", &FormerError{Ref: ref, Former: source,
		remedy: "take a former mirror out whose names are names of another one"}
}

// Former returns the rules of the former mirrors.
func (r *Rules) Former() []*Rules {
	all := make([]*Rules, 0, len(r.formers))
	for _, f := range r.formers {
		all = append(all, f.rules)
	}
	return all
}

// mapBack maps a name back once. Of the former mirrors that are certain, the one whose rule is more
// exact decides; two that are equally exact have to agree.
func (r *Rules) mapBack(ref Reference) (origin Reference, on string, err *FormerError) {
	if len(r.formers) == 0 {
		return ref, "", nil
	}
	present, best := r.claim(ref), claim{exact: -1}
	var unsure *FormerError
	for _, f := range r.formers {
		c := f.rules.claim(ref)
		switch {
		case !c.leads || c.kept || present.wins(c):
		case !c.certain():
			if unsure == nil {
				unsure = &FormerError{Former: f.source, remedy: f.remedyFor(ref)}
			}
		case c.exact > best.exact:
			best, on, err = c, f.source, nil
		case c.exact == best.exact && c.origins[0].Canonical() != best.origins[0].Canonical() && err == nil:
			err = disagreement(on, f.source, best, c, ref)
		}
	}
	switch {
	case err != nil:
		return ref, "", err
	case on == "" && unsure != nil:
		return ref, "", unsure
	case on == "":
		return ref, "", nil
	}
	return best.origins[0], on, nil
}

// disagreement returns the error for two former mirrors that map a name back to different images.
func disagreement(first, second string, a, b claim, ref Reference) *FormerError {
	remedy := "add it to images of the one that is meant"
	if a.exact == len(ref.Repository()) { // both name it
		remedy = "take it out of images of one of them"
	}
	return &FormerError{Former: first + " and " + second, remedy: fmt.Sprintf(
		"%s, because it is %s on the first and %s on the second", remedy, a.origins[0], b.origins[0])}
}

// claim is what the rules of one mirror say about a name: whether the mirror has an image
// under that name, and which.
type claim struct {
	leads   bool        // whether a rule leads there, or keeps it
	kept    bool        // whether keep decides
	unsure  bool        // whether a rule leads there that cannot be inverted
	origins []Reference // the images that rules lead there, each once
	exact   int         // how many bytes of the name the rule writes out before its first placeholder
}

func (c claim) certain() bool { return c.leads && !c.kept && !c.unsure && len(c.origins) == 1 }

// wins reports whether a name is the present mirror's rather than a former one's: that of
// the mirror whose rule is more exact.
func (c claim) wins(former claim) bool {
	switch {
	case !c.leads:
		return false
	case c.exact >= former.exact:
		return true
	case !former.certain():
		return !c.kept
	}
	return c.certain() && c.origins[0].Canonical() == former.origins[0].Canonical()
}

// claim inverts the rules for one name.
func (r *Rules) claim(ref Reference) claim {
	var c claim
	for _, exact := range []bool{true, false} { // one for this very name decides alone
		for _, o := range r.overrides {
			if o.leadsTo(ref) && (!exact || o.to == ref && o.key.Tag+o.key.Digest != "") {
				r.add(&c, ref, len(ref.Repository()), o.invert)
			}
		}
		if c.leads {
			return c
		}
	}
	for _, k := range r.keep {
		if k.pattern.expr.MatchString(ref.Repository()) {
			c.leads, c.kept, c.exact = true, true, max(c.exact, k.exact)
		}
	}
	kept := c
	for _, one := range r.rules {
		for _, t := range one.targets {
			// What is kept is upstream for this mirror. A rule can only name a part of it that is
			// the mirror, or another image in place of one that it lacks.
			if kept.kept && (t.exact() <= kept.exact || len(t.holds) == 0) || !t.done.MatchString(ref.Repository()) {
				continue
			}
			r.add(&c, ref, t.exact(), func(ref Reference) (Reference, inverse) { return one.invert(t, ref) })
		}
	}
	return c
}

// inverse says what is known about where a name comes from.
type inverse int

const (
	impossible inverse = iota // no image gets this name
	unknown                   // several images may get it
	known
)

// add adds the origin of a name to a claim.
func (r *Rules) add(c *claim, ref Reference, exact int, invert func(Reference) (Reference, inverse)) {
	origin, is := invert(ref)
	if is == known && !r.makes(origin, ref) {
		is = impossible
	}
	if is == impossible {
		return
	}
	c.leads, c.kept, c.exact = true, false, max(c.exact, exact)
	c.unsure = c.unsure || is == unknown
	same := func(o Reference) bool { return o.Canonical() == origin.Canonical() }
	if is == known && !slices.ContainsFunc(c.origins, same) {
		c.origins = append(c.origins, origin)
	}
}

// makes reports whether the mirror may hold an image under a name.
func (r *Rules) makes(origin, ref Reference) bool {
	candidates, err := r.candidates(origin)
	return err == nil && slices.ContainsFunc(candidates, func(c Rewritten) bool { return c.To == ref })
}

// invert returns the image that the override sends to a name.
func (o override) invert(ref Reference) (Reference, inverse) {
	exact := o.key.Tag != "" || o.key.Digest != ""
	switch {
	case o.to.Repository() == o.key.Repository(): // it is a name upstream
		return Reference{}, impossible
	case o.target.tagged && (o.to.Tag != ref.Tag || o.to.Digest != "" && o.to.Digest != ref.Digest):
		return Reference{}, impossible
	case o.target.tagged && !exact, !o.target.tagged && loses(o.digest, ref):
		return Reference{}, unknown
	}
	origin := o.key
	if !o.target.tagged {
		origin.Tag, origin.Digest = cmp.Or(o.key.Tag, ref.Tag), cmp.Or(o.key.Digest, ref.Digest)
	}
	return origin, known
}

// invert returns the image that a target of the rule sends to a name.
func (r rule) invert(t target, ref Reference) (Reference, inverse) {
	if is := t.tag(ref); is != known {
		return Reference{}, is
	}
	repository, is := t.origin(r.Match, ref.Repository())
	if is != known {
		return Reference{}, is
	}
	origin, err := Parse(repository)
	host, _, _ := strings.Cut(repository, "/")
	switch {
	case err != nil || origin.Host != host || !r.pattern.Match(origin):
		return Reference{}, impossible
	case origin.Repository() != repository || loses(r.Digest, ref):
		return Reference{}, unknown
	}
	origin.Tag, origin.Digest = ref.Tag, ref.Digest
	return origin, known
}

// tag returns whether an image whose name has the tag of ref has the same tag upstream.
func (t target) tag(ref Reference) inverse {
	_, suffix := splitTag(t.template)
	tag, _, _ := strings.Cut(suffix, "@")
	switch {
	case suffix == "" || suffix == ":{tag}":
		return known
	case tag != "" && tag != ":"+ref.Tag && !inBraces.MatchString(tag):
		return impossible
	}
	return unknown
}

// loses reports whether a name on a mirror with this digest policy does not tell the tag and
// digest of the image upstream.
func loses(digest string, ref Reference) bool {
	if digest != DigestDrop && digest != DigestRelock {
		return false
	}
	return ref.Digest != "" || strings.HasPrefix(ref.Tag, digestTagPrefix)
}

// origin returns the repository that the target makes this one of, if the pattern of its
// rule and its placeholders leave one only.
func (t target) origin(match, repository string) (string, inverse) {
	if !strings.Contains(match, "*") {
		return match, known
	}
	host, _, _ := strings.Cut(match, "/")
	folder := match[:strings.LastIndex(match, "/")+1]
	values := t.parts.FindStringSubmatch(repository)
	switch {
	case slices.Equal(t.holds, []string{"{host}", "{path}"}) && t.apart:
		return values[1] + "/" + values[2], known
	case slices.Equal(t.holds, []string{"{path}"}) && !strings.Contains(host, "*"):
		return host + "/" + values[1], known
	case slices.Equal(t.holds, []string{"{name}"}) && folder != "" && !strings.Contains(folder, "*"):
		return folder + values[1], known
	}
	return "", unknown
}

// exact returns how much of the repository the template writes out before its first
// placeholder.
func (t target) exact() int {
	written, _, _ := strings.Cut(t.template, "{")
	return len(written)
}
