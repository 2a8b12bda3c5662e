package image

import (
	"fmt"
	"slices"
)

// Lookup returns the digest that Tekton published for an image, by its name upstream. ok is
// false for images that are not Tekton's; digest is "" if it is not known.
type Lookup func(upstream Reference) (digest string, ok bool)

// WithPublished returns rules that pin each of Tekton's images to its published digest where
// the policy is published. Without it, published is the same as keep. The rules that it is
// called on do not change.
func (r *Rules) WithPublished(lookup Lookup) *Rules {
	with := *r
	with.published = lookup
	return &with
}

// Upstream returns the upstream name of an image: that of a copy, see WithCopies, or of an
// image on a former mirror, or else the name itself.
func (r *Rules) Upstream(ref Reference) Reference {
	if origin, ok := r.copies[ref.String()]; ok {
		return origin
	}
	origin, _, err := r.Origin(ref)
	if err != nil {
		return ref
	}
	return origin
}

// Published returns the digest that Tekton published for an image, as WithPublished knows it.
// ok is false for images that are not Tekton's.
func (r *Rules) Published(ref Reference) (digest string, ok bool) {
	if r.published == nil {
		return "", false
	}
	return r.published(r.Upstream(ref))
}

// Source returns the reference to copy an image from: the name under which it can be pulled
// today, with the digest that it must have.
func (w Rewritten) Source() Reference {
	from := w.From.Canonical()
	if w.Policy == DigestPublished && from.Digest == "" {
		from.Digest = w.To.Digest
	}
	return from
}

// PublishedError says that an image of Tekton's cannot be pinned to the digest that Tekton
// published.
type PublishedError struct {
	Ref       Reference
	Published string // "" if it is not known
	Pinned    string // another digest that is written in the manifests, or in the rule
	Rule      string // the rule that names Pinned, "" for the manifests
}

func (e *PublishedError) Error() string { return fmt.Sprintf("image %s: %s", e.Ref, e.Reason()) }

// Reason returns the error without the image.
func (e *PublishedError) Reason() string {
	switch {
	case e.Published == "":
		return "`digest: published` needs the digest that Tekton published, which this tekgate does not have: " +
			"set `digest: keep` and use Tekton's own release files, which pin digests, or use a tekgate that has it"
	case e.Rule != "":
		return fmt.Sprintf("%s pins it to %s, and Tekton published %s: "+
			"correct that digest, or set another policy than `digest: published`", e.Rule, e.Pinned, e.Published)
	}
	return fmt.Sprintf("the manifests pin it to %s, and Tekton published %s: "+
		"get the release file again, or set `digest: keep` to accept what the manifests pin", e.Pinned, e.Published)
}

// pin pins candidates to the published digest, as if the manifests did.
func (r *Rules) pin(ref Reference, found []Rewritten) ([]Rewritten, error) {
	published, tekton := r.Published(ref)
	if !tekton {
		return found, nil
	}
	_, copied := r.copies[ref.String()]
	pinned := slices.Clone(found)
	for i := range pinned {
		c := &pinned[i]
		switch {
		case c.Policy != DigestPublished:
			continue
		case published == "" && c.Rule == "" && !copied && r.kept(ref) == "":
			continue // the mirror's name has Tekton's in it
		case published == "":
			return nil, &PublishedError{Ref: ref}
		case c.From.Digest != "" && c.From.Digest != published:
			return nil, &PublishedError{Ref: ref, Published: published, Pinned: c.From.Digest}
		case c.To.Digest != "" && c.To.Digest != published && !copied:
			return nil, &PublishedError{Ref: ref, Published: published, Pinned: c.To.Digest, Rule: c.Rule}
		}
		c.To.Digest = published
		c.Other, c.DigestDropped = false, false
	}
	return pinned, nil
}

// policyWhere returns the digest policy for an image that stays.
func (r *Rules) policyWhere(ref Reference) string {
	if policy, ok := r.policyThatLed(ref); ok && r.kept(ref) == "" {
		return policy
	}
	return r.digest
}
