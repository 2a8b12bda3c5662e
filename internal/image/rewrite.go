package image

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rewritten says where an image goes, and by which rule.
type Rewritten struct {
	From, To Reference
	// Rule names the rule, for example `mirror.rules[0]`. It is empty where the
	// image stays as it is, being kept or on the mirror already.
	Rule string
	// DigestDropped says that the source was pinned and the result is not.
	DigestDropped bool
	// Relock says that the mirror's own digest has yet to be found, proven and
	// pinned: To has none. It is false in what internal/registry returns.
	Relock bool
	// Other says that the rule names another image by a tag of its own, such as
	// Docker Hub's busybox in place of Chainguard's: no digest can prove it.
	Other bool
	// Policy is the digest policy of the rule, or of the mirror for an image that stays; ""
	// means keep.
	Policy string
}

// UnmirroredError says that no rule applies to an image.
type UnmirroredError struct{ Ref Reference }

func (e *UnmirroredError) Error() string {
	return fmt.Sprintf(
		"image %s: no mirror rule applies to it: add one for %s/** under mirror.rules, or list it under mirror.keep",
		e.Ref,
		e.Ref.Host,
	)
}

// Rewrite returns where an image goes: what was chosen for it, or else the
// first of its candidates. An image that no rule applies to is an
// UnmirroredError.
func (r *Rules) Rewrite(ref Reference) (Rewritten, error) {
	candidates, err := r.Candidates(ref)
	if err != nil {
		return Rewritten{}, err
	}
	return candidates[0], nil
}

// Choose returns rules for which Rewrite gives, for every From of the choices,
// that choice. The rules that it is called on stay as they are.
func (r *Rules) Choose(choices ...Rewritten) *Rules {
	chosen := *r
	chosen.chosen = maps.Clone(r.chosen)
	if chosen.chosen == nil {
		chosen.chosen = map[string]Rewritten{}
	}
	for _, c := range choices {
		chosen.chosen[c.From.String()] = c
	}
	return &chosen
}

// Candidates returns every place where the mirror may hold an image, in order
// of preference and at least one: what was chosen for it alone, or else the
// targets of the first rule that applies. An image that stays as it is has itself for its
// one candidate. Of an image on a former mirror they are the candidates of its upstream
// name, and so are those of a copy, see WithCopies. An image that no rule applies to is an
// UnmirroredError, and one that cannot be pinned as WithPublished demands a PublishedError.
func (r *Rules) Candidates(ref Reference) ([]Rewritten, error) {
	found, err := r.unpinned(ref)
	if err != nil || r.published == nil {
		return found, err
	}
	return r.pin(ref, found)
}

// unpinned is Candidates without regard to published digests.
func (r *Rules) unpinned(ref Reference) ([]Rewritten, error) {
	if origin, ok := r.copyOf(ref); ok {
		return r.ofCopy(ref, origin)
	}
	if _, is := r.chosen[ref.String()]; is || len(r.formers) == 0 {
		return r.candidates(ref)
	}
	origin, source, err := r.Origin(ref)
	if err != nil {
		return nil, err
	}
	found, err := r.candidates(origin)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(done Rewritten) bool {
		_, on, err := r.Origin(done.To) // which would lead on from there
		return on != "" || err != nil
	})
	if len(found) == 0 {
		return nil, &UnmirroredError{Ref: origin}
	}
	for i := range found {
		done := &found[i]
		if done.Rule == "" {
			done.Rule = source
		}
		done.From, done.DigestDropped = ref, ref.Digest != "" && done.To.Digest == ""
	}
	return found, nil
}

// candidates is Candidates without regard to former mirrors.
func (r *Rules) candidates(ref Reference) ([]Rewritten, error) {
	if chosen, ok := r.chosen[ref.String()]; ok {
		return []Rewritten{chosen}, nil
	}
	if o, ok := r.overrideFor(ref); ok {
		return []Rewritten{o.apply(ref)}, nil
	}
	if r.stays(ref) != "" {
		return []Rewritten{{From: ref, To: ref, Policy: r.policyWhere(ref)}}, nil
	}
	for _, rule := range r.rules {
		found := slices.DeleteFunc(rule.apply(ref), func(done Rewritten) bool {
			// An override of a name's alias would lead on from there.
			_, on := r.overrideFor(done.To)
			return on
		})
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, &UnmirroredError{Ref: ref}
}

// Explain says in one line per step which rule decides about an image, and why
// those before it do not.
func (r *Rules) Explain(ref Reference) []string {
	origin, source, err := r.Origin(ref)
	var former *FormerError
	switch {
	case errors.As(err, &former):
		return []string{former.Reason()}
	case source != "":
		first := fmt.Sprintf("%s led here: the image is %s upstream", source, origin)
		return append([]string{first}, r.explain(origin)...)
	}
	return r.explain(ref)
}

func (r *Rules) explain(ref Reference) []string {
	if o, ok := r.overrideFor(ref); ok {
		return []string{fmt.Sprintf("%s decides, before any rule", o.source)}
	}
	if why := r.stays(ref); why != "" {
		return []string{why}
	}
	var steps []string
	for _, rule := range r.rules {
		name := fmt.Sprintf("%s (%s → %s)", rule.source, rule.Match, strings.Join(rule.To, ", "))
		switch {
		case !rule.matches(ref):
			steps = append(steps, name+" does not match")
		case len(rule.apply(ref)) == 0:
			steps = append(steps, name+" matches, but the image has no value for one of its placeholders")
		default:
			return append(steps, name+" decides")
		}
	}
	return append(steps, "no rule applies")
}

// stays says why an image is left as it is; "" is said of one that is not. What
// some rule leads to stays, so that rewriting twice changes nothing.
func (r *Rules) stays(ref Reference) string {
	repository := ref.Repository()
	for _, o := range r.overrides {
		if o.leadsTo(ref) {
			return o.source + " leads here: it is on the mirror already"
		}
	}
	if why := r.kept(ref); why != "" {
		return why
	}
	for _, rule := range r.rules {
		if rule.leadsTo(repository) {
			return rule.source + " leads here: it is on the mirror already"
		}
	}
	return ""
}

// kept says which pattern of mirror.keep, or of a preset, keeps an image; "" if none does.
func (r *Rules) kept(ref Reference) string {
	for _, k := range r.keep {
		if k.pattern.expr.MatchString(ref.Repository()) {
			return k.source + " keeps it where it is"
		}
	}
	return ""
}

// Unused returns the names of the rules that apply to none of the images and
// are not marked as optional. Preset rules are never among them.
func (r *Rules) Unused(images []Reference) []string {
	r = r.WithPublished(nil) // whose errors are no matter here
	var unused []string
	for _, rule := range r.rules {
		if rule.Optional || !strings.HasPrefix(rule.source, "mirror.") {
			continue
		}
		applies := func(ref Reference) bool {
			won, err := r.Rewrite(ref)
			return err == nil && (won.Rule == rule.source || rule.leadsTo(ref.Repository()))
		}
		if !slices.ContainsFunc(images, applies) {
			unused = append(unused, fmt.Sprintf("%s (%q)", rule.source, rule.Match))
		}
	}
	return unused
}

func (r rule) leadsTo(repository string) bool {
	return slices.ContainsFunc(r.targets, func(t target) bool { return t.done.MatchString(repository) })
}

func (r rule) matches(ref Reference) bool {
	return r.pattern.Match(ref)
}

// apply returns where the rule sends an image. The living name of an image is
// tried before the one that is written, so that a prefix mirror is asked for
// what it can fetch; the name as written is what an old mirror may still have.
func (r rule) apply(ref Reference) []Rewritten {
	var found []Rewritten
	for _, source := range []Reference{ref.Canonical(), ref} {
		if !r.pattern.expr.MatchString(source.Repository()) {
			continue
		}
		for _, t := range r.targets {
			to, ok := t.fill(source)
			if !ok {
				continue
			}
			done := settle(ref, to, t, r.Digest)
			done.Rule = r.source
			if !slices.Contains(found, done) {
				found = append(found, done)
			}
		}
	}
	return found
}

// settle decides on tag and digest of an image that a target sends to a
// repository.
func settle(from, to Reference, t target, digest string) Rewritten {
	if !t.tagged {
		to.Tag = from.Tag
	}
	switch {
	case to.Digest != "": // the target's own
	case digest == DigestRelock || digest == DigestDrop:
		if to.Tag == "" {
			to.Tag = from.DigestTag()
		}
	case to.Tag == from.Tag || t.same:
		// A tag of the mirror's own choice names another image, to which the
		// digest does not belong.
		to.Digest = from.Digest
	}
	return Rewritten{
		From: from, To: to,
		Other:         t.tagged && !t.same && to.Digest == "" && to.Tag != from.Tag,
		DigestDropped: from.Digest != "" && to.Digest == "",
		Relock:        digest == DigestRelock && to.Digest == "",
		Policy:        digest,
	}
}
