package audit

import (
	"cmp"
	"embed"
	"encoding/json"
	"html"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/internal/template"
	"github.com/tekgate/tekgate/manifests"
	"github.com/tekgate/tekgate/validator"
)

//go:embed audit.html
var auditPage embed.FS

// html writes the report as one page, which needs nothing from elsewhere: the style and
// the few lines of script stand in it, and a policy in its head forbids all else.
func (r *auditReport) html(out io.Writer) error {
	page, err := template.Read(auditPage, template.Funcs{
		"title": title, "counted": cli.Plural, "age": r.age, "json": compactJSON, "anchor": anchor,
		"date": date, "listed": listed,
	}, html.EscapeString, "audit.html")
	if err != nil {
		return err
	}
	return page.Execute(out, "audit.html", auditView{
		Report: r, Version: manifests.Version, Severities: findings.Severities, Namespaces: r.byNamespace(),
		Rules: r.byRule(), LeftOutNames: slices.Sorted(maps.Keys(r.LeftOut.Namespaces)),
	})
}

func (r *auditReport) age(o auditObject) string {
	return duration.HumanDuration(r.Time.Sub(o.Created))
}

func date(t time.Time, layout string) string { return t.Format(layout) }

func compactJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// anchor is where a rule is described on the page.
func anchor(rule string) string { return "rule-" + rule }

// auditView is what the page shows.
type auditView struct {
	Report     *auditReport
	Version    string
	Severities []validator.Severity
	Namespaces []namespaceView
	Rules      []ruleView
	// LeftOutNames are the namespaces that were left out, in order.
	LeftOutNames []string
}

// namespaceView is a namespace with findings.
type namespaceView struct {
	Name    string
	Counts  map[validator.Severity]int
	Objects []objectView
}

// objectView is an object with findings.
type objectView struct {
	Object   auditObject
	Findings []auditFinding
}

// byNamespace groups the findings, which are in the order of their objects.
func (r *auditReport) byNamespace() []namespaceView {
	var all []namespaceView
	for _, f := range r.Findings {
		if n := len(all); n == 0 || all[n-1].Name != f.Object.Namespace {
			all = append(all, namespaceView{Name: f.Object.Namespace, Counts: map[validator.Severity]int{}})
		}
		in := &all[len(all)-1]
		in.Counts[f.Severity]++
		if n := len(in.Objects); n == 0 || in.Objects[n-1].Object != f.Object {
			in.Objects = append(in.Objects, objectView{Object: f.Object})
		}
		o := &in.Objects[len(in.Objects)-1]
		o.Findings = append(o.Findings, f)
	}
	return all
}

// ruleView is a rule that found something, or would have but for an exception.
type ruleView struct {
	ID       string
	Severity validator.Severity
	Findings int
	Excepted int
	Doc      []paragraph
}

func (r *auditReport) byRule() []ruleView {
	views := map[string]*ruleView{}
	view := func(f auditFinding) *ruleView {
		if views[f.Rule] == nil {
			views[f.Rule] = &ruleView{ID: f.Rule, Severity: f.Severity, Doc: docOf(r.rules, f.Rule)}
		}
		return views[f.Rule]
	}
	for _, f := range r.Findings {
		view(f).Findings++
	}
	for _, e := range r.Excepted {
		view(e.auditFinding).Excepted++
	}
	all := make([]ruleView, 0, len(views))
	for _, v := range views {
		all = append(all, *v)
	}
	slices.SortFunc(all, func(a, b ruleView) int {
		return cmp.Or(findings.Order(a.Severity)-findings.Order(b.Severity), b.Findings-a.Findings,
			strings.Compare(a.ID, b.ID))
	})
	return all
}

// paragraph is a part of a rule's Markdown: of its text or, in a block or table, as it
// stands.
type paragraph struct {
	Spans []span
	Block string
}

// span is text, or code.
type span struct {
	Text string
	Code bool
}

// docOf returns what a rule says about itself. Its Markdown is of the simplest kind:
// paragraphs, code, indented blocks and tables.
func docOf(rules []*validator.Rule, id string) []paragraph {
	i := slices.IndexFunc(rules, func(r *validator.Rule) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	var all []paragraph
	fence := ""
	for part := range strings.SplitSeq(rules[i].Doc, "\n\n") {
		if fenced := strings.Count(part, "```")%2 == 1; fenced || fence != "" { // a block with an empty line in it
			fence += part + "\n\n"
			if fence != part+"\n\n" && fenced {
				all, fence = append(all, paragraph{Block: strings.TrimSpace(fence)}), ""
			}
			continue
		}
		all = append(all, paragraphOf(strings.Trim(part, "\n")))
	}
	return all
}

func paragraphOf(text string) paragraph {
	if text != "" && strings.ContainsAny(text[:1], " \t|-*`") {
		return paragraph{Block: text}
	}
	var p paragraph
	for i, piece := range strings.Split(text, "`") {
		if piece != "" {
			p.Spans = append(p.Spans, span{Text: piece, Code: i%2 == 1})
		}
	}
	return p
}
