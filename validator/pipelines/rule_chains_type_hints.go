package pipelines

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var chainsTypeHintsRule = &rule.Rule{
	ID:       "chains-type-hints",
	Severity: rule.Info,
	Kinds:    rule.WithSteps,
	Doc: `Finds results by which Tekton Chains is to recognise what a Task or Pipeline has built, and
by which it recognises nothing (docs/slsa-provenance.md of Chains, "Type Hinting"):

- *IMAGE_DIGEST without *IMAGE_URL of the same beginning, or the other way round;
  *ARTIFACT_DIGEST and *ARTIFACT_URI, CHAINS-GIT_COMMIT and CHAINS-GIT_URL likewise;
- one of these, or IMAGES, that is an array or object: Chains reads strings;
- an *IMAGE_URL that begins with https:// or has a digest, an *IMAGE_DIGEST without sha256:, and IMAGES with
  blanks between the images, where a value is written out: in the result itself, or by a script's
  ` + "`echo … > $(results.IMAGE_URL.path)`" + `;
- Kaniko's --image-name-with-digest-file and --image-name-tag-with-digest-file with the path of an *IMAGE_URL or
  *IMAGE_DIGEST: they write name and digest. Result IMAGES takes them; for the others write
  --digest-file=$(results.IMAGE_DIGEST.path), and the name yourself;
- *ARTIFACT_OUTPUTS and *ARTIFACT_INPUTS that are not objects with the properties uri and digest.

Chains then signs nothing for the image, or its provenance lacks the source, and no run fails.

A specification with the result IMAGES passes where only a partner is missing, since Chains
takes its images from there. Without Chains nothing comes of it.`,
	Check: checkChainsTypeHints,
}

// listHint is a result from which Chains takes the images that it signs, one after another in a string.
const listHint = "IMAGES"

// typeHints are pairs of results that Chains reads together, by the ends of their names.
var typeHints = []struct{ digest, address, loss string }{
	{"IMAGE_DIGEST", "IMAGE_URL", "Chains signs no image"},
	{"ARTIFACT_DIGEST", "ARTIFACT_URI", "Chains records no artifact"},
	{"CHAINS-GIT_COMMIT", "CHAINS-GIT_URL", "Chains records no source"},
}

func checkChainsTypeHints(_ context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		if s.Kind == "StepAction" {
			continue
		}
		results := itemsIn(s.Fields, s.Path, "results")
		declared := namesOf(s.Fields, "results")
		for _, result := range results {
			checkTypeHint(p, result, declared, s.Kind)
			checkArtifactObject(p, result, s.Kind)
		}
		checkValues(p, s, results)
	}
}

// checkTypeHint looks for the partner of a result, and at its type.
func checkTypeHint(p *rule.Pass, result namedItem, declared *names, kind string) {
	var r object.Reader
	t := r.Text(result.Fields, "type")
	if result.Name == listHint && kind == "Task" && (t == "array" || t == "object") {
		p.Report(result.Path+".type", "result %q is an %s, and Chains reads strings alone, so Chains signs no image: "+
			"make it a string, with commas or new lines between the images", result.Name, t)
		return
	}
	for _, hint := range typeHints {
		for _, ends := range [][2]string{{hint.digest, hint.address}, {hint.address, hint.digest}} {
			beginning, is := strings.CutSuffix(result.Name, ends[0])
			if !is {
				continue
			}
			if t := r.Text(result.Fields, "type"); kind == "Task" && (t == "array" || t == "object") {
				p.Report(result.Path+".type", "result %q is an %s, and Chains reads strings alone, so %s: make it a string",
					result.Name, t, hint.loss)
				return
			}
			if partner := beginning + ends[1]; !declared.has(partner) && !declared.has(listHint) {
				p.Report(result.Path, "result %q has no result %q beside it, so %s: declare and write both, or remove it",
					result.Name, partner, hint.loss)
			}
			return
		}
	}
}

// checkArtifactObject looks at a result that is an artifact by itself. A Pipeline does not say
// what properties its results have.
func checkArtifactObject(p *rule.Pass, result namedItem, kind string) {
	if !strings.HasSuffix(result.Name, "ARTIFACT_OUTPUTS") && !strings.HasSuffix(result.Name, "ARTIFACT_INPUTS") ||
		kind != "Task" {
		return
	}
	var r object.Reader
	properties := r.Fields(result.Fields, "properties")
	if properties["uri"] == nil || properties["digest"] == nil {
		p.Report(result.Path, "result %q is no object with the properties uri and digest, so Chains does not read it: "+
			"write type: object and properties: {uri: {type: string}, digest: {type: string}}", result.Name)
	}
}
