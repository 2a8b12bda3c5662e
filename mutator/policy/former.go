package policy

import (
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// opsOf returns the operations of a rule, or none for a run that was created before under
// another mirror: no expression maps the names of its images back.
func (c *compiler) opsOf(r *rule) string {
	before := c.createdBefore(r)
	if before == "" {
		return r.ops
	}
	known := func(l Limit) bool { return l.ID == "created-again" }
	if !slices.ContainsFunc(c.set.Limits, known) {
		c.limit("", "created-again", "a run with images of a mirror that is not the present one is left alone, if "+
			wellknown.OriginalImagesKey+" names them or mirror.former lists the mirror, since CEL cannot map their names back")
	}
	return before + " ? [] : (" + r.ops + ")"
}

// createdBefore writes that an image of the run is on a former mirror, or "" if the rule need
// not ask.
func (c *compiler) createdBefore(r *rule) string {
	rules := c.Mirror
	if own := c.Config.ImageMirror.Mirror; own != nil {
		rules, _ = own.Compile() // whose error mutator.New has reported
	}
	var places []string
	if rules != nil {
		places = rules.FormerPlaces()
	}
	on := func(list string) string {
		if len(places) == 0 {
			return ""
		}
		return "variables." + list + ".exists(v, v.repository.matches(" + quote(strings.Join(places, "|")) + "))"
	}
	switch {
	case r.id == "image-mirror":
		return some("variables.replaced.exists(r, variables.originals.exists(o, o.now == r.written))", on("references"))
	case r.steps && len(places) > 0:
		return on("views")
	}
	return ""
}
