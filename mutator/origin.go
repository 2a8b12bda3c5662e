package mutator

import (
	"fmt"
	"slices"
)

// A run may be created again: restored from a backup, copied by `tkn --last`, exported and
// applied under another name. Its images are then those that the rules put there, maybe under
// a configuration that has changed since. So rules start from what the author wrote: the
// record has it, or else the configuration's former mirrors do.

// author returns the image that an author wrote in place of one, as far as that is known, or
// that one.
func (p *pass) author(text string) string {
	if author := p.originals.Of(text); author != text {
		return author
	}
	return p.settings.upstream(text)
}

// upstream returns the upstream name of an image that is on a former mirror, or the image.
func (s *settings) upstream(text string) string {
	if !s.hasFormer {
		return text
	}
	if origin := s.image(text).origin; origin != "" {
		return origin
	}
	return text
}

// onMirror is why an image stays.
const onMirror = "it is on the mirror, or kept where it is"

// fate returns what the rule image-mirror makes of an image at a path, or why it stays. If that
// is because its origin is not certain, there is a warning.
func (p *pass) fate(path, text string) (done mirrored, why string) {
	done = p.mirrorOf(text)
	why = p.excludesImage(&p.settings.scopes.images, p.settings.upstream(text))
	if why != "" {
		return done, why
	}
	if done.unsure {
		p.warn("%s: %s stays: %s", path, text, done.why)
	}
	return done, done.why
}

// mirrorOf returns what the mirror makes of an image of the object: of the one that its author
// wrote, where the record has it.
func (p *pass) mirrorOf(text string) mirrored {
	authors := p.originals.Authors(text)
	if len(authors) == 0 {
		return p.settings.mirrorOf(text)
	}
	var fates []mirrored
	for _, author := range authors {
		house := p.settings.image(author).house.text
		fate := p.settings.afresh(author)
		switch {
		case house == text: // the rule kaniko has just put it there
			return p.settings.mirrorOf(text)
		case fate.to == text, house != "" && p.settings.mirrorOf(house).to == text:
			return mirrored{why: onMirror}
		}
		if !slices.ContainsFunc(fates, func(f mirrored) bool { return f.to == fate.to }) {
			fates = append(fates, fate)
		}
	}
	if len(fates) > 1 {
		return mirrored{unsure: true, why: fmt.Sprintf("it took the places of %s and %s before: "+
			"write the upstream name in its place", authors[0], authors[1])}
	}
	fates[0].did += " in place of " + text
	return fates[0]
}

// afresh returns what becomes of an image that an author writes.
func (s *settings) afresh(author string) mirrored {
	done := s.mirrorOf(author)
	if done.to == "" {
		done.to, done.did, done.why = author, "took back "+author, ""
	}
	return done
}
