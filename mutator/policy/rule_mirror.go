package policy

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/record"
)

func (c *compiler) imageMirror() error {
	config := c.Config.ImageMirror
	if !config.Enabled || config.Disabled {
		return nil
	}
	const id = "image-mirror"
	if k := c.Config.Kaniko; !k.Disabled && (k.Image != "" || len(k.Args) > 0) {
		c.leaveOut(id, "order",
			"mutator.kaniko.image and args ask for the image that the author wrote, and a mirror's name would be there before them: leave it to the webhook")
		return nil
	}
	rules := c.Mirror
	if config.Mirror != nil {
		var err error
		if rules, err = config.Mirror.Compile(); err != nil {
			return err
		}
	}
	written, err := rules.Write()
	if err != nil {
		c.leaveOut(id, "mirror", "the mirror cannot be written in CEL: %v", err)
		return nil
	}
	r, ok := c.begin(id, config.Scope)
	if !ok {
		return nil
	}
	r.steps = true
	r.variables = mirrorVariables(written, r.scope)
	r.ops = fmt.Sprintf(
		"size(variables.replaced) == 0 || size(variables.remembered) > %d ? [] : variables.replaced.map(f, %s) + [%s]",
		record.MaxOriginals, add("f.path", "f.now"), annotate(wellknown.OriginalImagesKey, "variables.remembered"))
	c.addBoth(r)
	c.limit(id, "many-images",
		"a run with so many images that the annotation "+wellknown.OriginalImagesKey+" would be too long is left alone")
	c.limit(id, "mixed-names",
		"a step for which the author wrote the mirror's name of an image, beside one with the image's own name, is taken for that image by other rules, as by the webhook's second call")
	c.limit(id, "image-volumes",
		"the images of volumes, in Tasks and podTemplates, stay as they are: leave them to the webhook")
	if config.Entrypoints != mutator.EntrypointsOff {
		c.limit(id, "entrypoints",
			"no command is named in steps that have none, so Tekton asks the mirror for the image's entrypoint: leave it to the webhook")
	}
	return nil
}

// mirrorVariables are the places where images stand, those that are replaced, and
// the text of the annotation.
func mirrorVariables(written image.Written, s scope) []admissionv1.Variable {
	const at = `{"path": dyn(%s), "written": dyn(%s)}`
	of := func(name, path string) string {
		return fmt.Sprintf("lists.range(size(%[1]s)).filter(i, %[2]s != \"\").map(i, %[3]s)", list("t.spec", name),
			text("t.spec."+name+"[i]", "image"), fmt.Sprintf(at, path+` + "/image"`, "t.spec."+name+"[i].image"))
	}
	template := fmt.Sprintf("(has(t.spec.stepTemplate) && t.spec.stepTemplate != null && %s != \"\" ? [%s] : [])",
		text("t.spec.stepTemplate", "image"),
		fmt.Sprintf(at, `t.path + "/stepTemplate/image"`, "t.spec.stepTemplate.image"))
	return []admissionv1.Variable{
		{Name: "fields", Expression: "variables.tasks.map(t, " + of("steps", stepPath) + " + " +
			of("sidecars", `t.path + "/sidecars/" + string(i)`) + " + " + template + ").flatten().filter(f, !f.written.contains(\"$(\"))"},
		{Name: "references", Expression: `variables.fields.map(p, [string(p.written)].map(x, ` + normalised("x") + `.map(f, ` + repository("x", "f") + `.map(r, {
    "path": dyn(p.path), "written": dyn(x), "full": dyn(f), "repository": dyn(r), "living": dyn(` + living("r") + `),
    "tag": dyn(f.split("@")[0].substring(size(r))), "digest": dyn(f.contains("@") ? f.split("@")[1] : "")
  })[0])[0])[0])`},
		{Name: "replaced", Expression: replaced(written, s)},
		{Name: "remembered", Expression: remembered()},
	}
}

// replaced are the references that go elsewhere, with where: path, written and now.
func replaced(written image.Written, s scope) string {
	var stays []string
	stays = append(stays, written.Keep...)
	var candidates []string
	for _, rule := range written.Rules {
		for _, source := range []string{"v.living", "v.repository"} {
			for _, t := range rule.Targets {
				stays = append(stays, t.Done)
				candidates = append(candidates, candidate(rule, t, source))
			}
		}
	}
	condition := all(`v.repository != ""`, s.view)
	if len(stays) > 0 {
		condition = all(condition, not("v.repository.matches("+quote(strings.Join(stays, "|"))+")"))
	}
	if len(candidates) == 0 {
		candidates = []string{"[]"}
	}
	return fmt.Sprintf(`variables.references.filter(v, %s)
.map(v, {"path": v.path, "written": v.written, "full": v.full, "to": dyn(%s)})
.filter(v, size(v.to) > 0 && v.to[0] != v.full)
.map(v, {"path": v.path, "written": v.written, "now": v.to[0]})`, condition, strings.Join(candidates, " +\n    "))
}

// candidate writes a list of the one reference that a target makes of the view v.
func candidate(rule image.WrittenRule, t image.WrittenTarget, source string) string {
	tag := "v.tag"
	if t.Tag != "" {
		tag = quote(":" + t.Tag)
	}
	suffix := ""
	switch {
	case rule.Drop && t.Tag != "":
		suffix = tag
	case rule.Drop: // see image.Reference.DigestTag
		suffix = `(v.tag != "" || v.digest == "" ? v.tag : ":digest-" + v.digest.split(":")[1].substring(0, 12))`
	case t.Tag != "":
		suffix = fmt.Sprintf(`(%[1]s + (v.tag == %[1]s && v.digest != "" ? "@" + v.digest : ""))`, tag)
	default:
		suffix = `(v.tag + (v.digest != "" ? "@" + v.digest : ""))`
	}
	return fmt.Sprintf(
		`(%[1]s.matches(%[2]s) ? [%[3]s].filter(r, r.matches(%[4]s)).map(r, r.find(%[5]s)).filter(r, r.matches(%[6]s)).map(r, r + %[7]s) : [])`,
		source, quote(rule.Match), filled(t.Repository, source), quote(reference.ReferenceRegexp.String()),
		quote(repositoryOf), quote(t.Done), suffix)
}

var placeholder = lazyregexp.New(`\{[a-z]+\}`)

// filled writes a repository with the values of a source in the places of the
// placeholders.
func filled(repository, source string) string {
	values := map[string]string{
		"{host}":   source + `.split("/")[0]`,
		"{path}":   source + `.substring(` + source + `.indexOf("/") + 1)`,
		"{name}":   source + `.substring(` + source + `.lastIndexOf("/") + 1)`,
		"{dotted}": source + `.replace("/", ".")`,
	}
	var parts []string
	at := 0
	for _, span := range placeholder.FindAllStringIndex(repository, -1) {
		parts = append(parts, quote(repository[at:span[0]]), values[repository[span[0]:span[1]]])
		at = span[1]
	}
	return "string(" + strings.Join(append(parts, quote(repository[at:])), " + ") + ")"
}

// remembered is the text of the annotation, see mutator.pass.remember: sorted by the
// author's image, for a quote comes before whatever a reference holds.
func remembered() string {
	return `"{" + (
  variables.originals.filter(o, !variables.replaced.exists(r, r.written == o.author))
    .map(o, [variables.replaced.filter(r, r.written == o.now).map(r, string(r.now)) + [o.now]].map(n, "\"" + o.author + "\":\"" + n[0] + "\"")[0])
  + variables.replaced.filter(r, !variables.originals.exists(o, o.now == r.written)).map(r, "\"" + string(r.written) + "\":\"" + string(r.now) + "\"")
).distinct().sort().join(",") + "}"`
}
