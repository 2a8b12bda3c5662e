package expressions

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator/rule"
)

var misspeltTemplateParamRule = &rule.Rule{
	ID:       "misspelt-template-param",
	Severity: rule.Warning,
	Kinds:    kindsWithTemplates,
	Doc: `Finds what looks like a param of a TriggerTemplate in its resource templates and is none:
` + "`$(tt.param.x)`, `$(tt.params[\"x\"])`, `$( tt.params.x )`, `${tt.params.x}`" + `; ` + "`$(params.x)`" + ` where x is
a param of the template and of nothing in the resource; and ` + "`$(body.x)`" + `, which only
bindings know.

Triggers replaces the exact text ` + "`$(tt.params.x)`" + ` and leaves everything else as it stands, so
a script or a label gets the expression itself.

` + "`$(params.x)`" + ` of a Task or Pipeline that declares x passes.`,
	Check: checkMisspeltTemplateParam,
}

var (
	// likeTemplateParam matches everything that begins as a template's param does.
	likeTemplateParam = lazyregexp.New(`\$[({]\s*(?i:tt|triggertemplate)\s*[.\[][^(){}\n]*[)}]|\$\(params\.[A-Za-z0-9_.-]+\)|\$\((?:body|header|extensions)\.[A-Za-z0-9_.-]+\)`)
	// lastName is the name in it.
	lastName = lazyregexp.New(`([A-Za-z_][A-Za-z0-9_-]*)["'\s\])}]*$`)
)

// valueOfRun matches where a run gives its params their values, which nothing but
// Triggers replaces anything in.
var valueOfRun = lazyregexp.New(`\.resourcetemplates\[\d+\]\.spec\.params\[\d+\]\.value`)

func checkMisspeltTemplateParam(_ context.Context, p *rule.Pass) {
	for _, t := range templatesIn(p) {
		for _, resource := range t.resources() {
			own := sync.OnceValue(func() map[string]bool { return declaredParams(resource.Fields) })
			for _, text := range resource.texts() {
				checkMisspelt(p, t, text, own)
			}
		}
	}
}

// checkMisspelt looks at one text of a resource; own are the params that the resource
// has itself.
func checkMisspelt(p *rule.Pass, t paramTemplate, text rule.Text, own func() map[string]bool) {
	if isProseField(text.Path) {
		return
	}
	for _, like := range likeTemplateParam.FindAllString(text.Value, -1) {
		match := lastName.FindStringSubmatch(like)
		if templateParam.MatchString(like) || match == nil {
			continue
		}
		name := match[1]
		switch e := (expression.Expression{Inner: like[2 : len(like)-1]}); {
		case e.Root() == "params" && !t.declares(nameOfParam(e)):
		case e.Root() == "params" && own()[nameOfParam(e)] && !valueOfRun.MatchString(text.Path):
		case slices.Contains([]string{"body", "header", "extensions"}, e.Root()):
			p.Report(text.Path,
				"%s stays as it stands, since only bindings know the event: bind it to a param, and write $(tt.params.NAME)",
				like)
		default:
			found := p.Report(text.Path,
				"%s stays as it stands, since Triggers replaces only the form $(tt.params.%s): write that",
				like, name)
			if t.declares(name) && strings.Count(text.Value, "$") == 1 {
				p.Mend(found,
					rule.Edit{Op: "replace", Path: text.Path,
						Value: strings.Replace(text.Value, like, "$(tt.params."+name+")", 1)})
			}
		}
	}
}
