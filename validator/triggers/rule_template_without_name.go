package triggers

import (
	"context"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var templateWithoutNameRule = &rule.Rule{
	ID:       "template-without-name",
	Severity: rule.Error,
	Kinds:    rule.WithTemplates,
	Doc: `Finds templates of objects with neither name nor generateName, and with one that the API
server does not take: capitals, underscores, or a sign at its beginning.

Tekton accepts the template, answers 202 to each event, and creates nothing. What an
expression stands for is taken to be right.`,
	Check: checkTemplateWithoutName,
}

func checkTemplateWithoutName(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, t := range templatedIn(p) {
		metadata := r.Fields(t.Fields, "metadata")
		name, prefix := r.Text(metadata, "name"), r.Text(metadata, "generateName")
		if r.Odd || t.Fields == nil {
			r.Odd = false
			continue
		}
		switch {
		case name == "" && prefix == "":
			p.Report(t.Path+".metadata",
				"this %s has no name, so the API server refuses it for every event: give it a generateName, such as build-",
				t.call())
		case name != "":
			nameFits(p, t, "name", name, false)
		default:
			nameFits(p, t, "generateName", prefix, true)
		}
	}
}

func nameFits(p *rule.Pass, t templated, field, name string, prefix bool) {
	problems := apivalidation.NameIsDNSSubdomain(templateFilled(name), prefix)
	if len(problems) == 0 || rolesName(t) {
		return
	}
	if len(templateFilled(name)) > validation.DNS1123SubdomainMaxLength && prefix {
		return // it is cut
	}
	p.Report(t.Path+".metadata."+field,
		"no %s may have this %s, so the API server refuses it for every event: use small letters, digits and dashes, and no dash first",
		t.call(), field)
}

// rolesName tells whether the kind takes names with colons and capitals.
func rolesName(t templated) bool { return t.kind().Group == "rbac.authorization.k8s.io" }

// templateFilled is a text with a letter for each expression.
func templateFilled(text string) string {
	for {
		found := expression.Find(text)
		if len(found) == 0 {
			return text
		}
		text = text[:found[0].Start] + "x" + text[found[0].End:]
	}
}
