package audit

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/validator"
)

// auditReport is what an audit found; docs/policy.md describes it to those who read
// its JSON. Objects are in the order of their namespaces, kinds and names, and the
// findings of each in the order of the rules.
type auditReport struct {
	Cluster  string           `json:"cluster"` // the API server's address
	Time     time.Time        `json:"time"`
	Config   string           `json:"config"`   // what configures the rules
	Complete bool             `json:"complete"` // whether everything could be read
	Objects  int              `json:"objects"`  // that were judged
	Summary  map[string]int   `json:"summary"`  // findings by severity
	Findings []auditFinding   `json:"findings"`
	Excepted []auditException `json:"excepted"`
	Unknown  []auditUnknown   `json:"unknown"`
	Unread   []auditUnread    `json:"unread"`
	Unserved []string         `json:"unserved"` // kinds that the cluster does not have
	LeftOut  auditLeftOut     `json:"leftOut"`

	rules      []*validator.Rule // all that there are
	namespaces map[string]bool   // in which something was judged, "" for the cluster
}

// Names returns the names of the objects that something was found in.
func (r *auditReport) Names() []string {
	var names []string
	for _, f := range r.Findings {
		names = append(names, cli.ObjectName(f.Object.APIVersion, f.Object.Kind, f.Object.Name))
	}
	return slices.Compact(names)
}

// auditObject names an object.
type auditObject struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Namespace  string    `json:"namespace,omitempty"`
	Name       string    `json:"name"`
	Created    time.Time `json:"created"`
}

func (o auditObject) String() string { return o.Kind + "/" + o.Name }

// auditFinding is one finding in an object.
type auditFinding struct {
	Object   auditObject        `json:"object"`
	Rule     string             `json:"rule"`
	Severity validator.Severity `json:"severity"`
	Mode     validator.Mode     `json:"mode"` // what the webhook would make of it if the object were new
	Path     string             `json:"path"`
	Message  string             `json:"message"`
	Fix      []validator.Edit   `json:"fix,omitempty"`
}

// auditException is a finding that an exception holds back.
type auditException struct {
	auditFinding
	Until  string `json:"until"` // the last day, as 2027-03-31
	Reason string `json:"reason"`
	Soon   bool   `json:"soon"` // whether it ends within 30 days
}

// soon is when people should begin to think of what comes after an exception.
const soon = 30 * 24 * time.Hour

// auditUnknown is an object of which something could not be found out.
type auditUnknown struct {
	Object auditObject `json:"object"`
	What   []string    `json:"what"`
}

// auditUnread is what could not be read.
type auditUnread struct {
	Kind       string   `json:"kind"`
	Namespaces []string `json:"namespaces,omitempty"` // all, if there are none
	Reason     string   `json:"reason"`
	Remedy     string   `json:"remedy"`
}

// auditLeftOut counts what was not judged on purpose.
type auditLeftOut struct {
	Done           int                       `json:"done"`
	OfPipelineRuns int                       `json:"ofPipelineRuns"`
	BeingDeleted   int                       `json:"beingDeleted"`
	Namespaces     map[string]auditNamespace `json:"namespaces"`
}

// auditNamespace is a namespace that was left out.
type auditNamespace struct {
	Objects int    `json:"objects"`
	Reason  string `json:"reason"`
}

func (l *auditLeftOut) exclude(namespace, reason string) {
	l.Namespaces[namespace] = auditNamespace{l.Namespaces[namespace].Objects + 1, reason}
}

// newAuditReport returns one whose lists are empty and not null.
func newAuditReport(cluster string, now time.Time) *auditReport {
	r := &auditReport{
		Cluster: cluster, Time: now.UTC().Truncate(time.Second), Complete: true, Summary: map[string]int{},
		Findings: []auditFinding{}, Excepted: []auditException{}, Unknown: []auditUnknown{}, Unread: []auditUnread{},
		Unserved: []string{}, LeftOut: auditLeftOut{Namespaces: map[string]auditNamespace{}},
		namespaces: map[string]bool{},
	}
	for _, severity := range findings.Severities {
		r.Summary[string(severity)] = 0
	}
	return r
}

// add takes in what was found in one object.
func (r *auditReport) add(o auditedObject, out validator.Outcome) {
	object := auditObject{
		APIVersion: o.subject.Kind.GroupVersion().String(), Kind: o.subject.Kind.Kind,
		Namespace: o.subject.Namespace, Name: o.subject.Name(), Created: o.created,
	}
	finding := func(f validator.Finding) auditFinding {
		return auditFinding{object, f.Rule, f.Severity, f.Mode, f.Path, f.Message, f.Fix}
	}
	r.Objects++
	r.namespaces[object.Namespace] = true
	for _, f := range out.Findings {
		r.Findings = append(r.Findings, finding(f))
		r.Summary[string(f.Severity)]++
	}
	for _, e := range out.Excepted {
		r.Excepted = append(r.Excepted, auditException{
			auditFinding: finding(e.Finding), Until: e.Exception.Until.Format(time.DateOnly),
			Reason: e.Exception.Reason,
			Soon:   e.Exception.Until.Sub(r.Time) <= soon,
		})
	}
	if len(out.Unknown) > 0 {
		r.Unknown = append(r.Unknown, auditUnknown{object, out.Unknown})
	}
}

// sentence is one line for people.
func (r *auditReport) sentence() string {
	text := fmt.Sprintf("%s: %s, %s, %s", cli.Plural(r.Objects, "object"), cli.Plural(r.Summary["error"], "error"),
		cli.Plural(r.Summary["warning"], "warning"), cli.Plural(r.Summary["info"], "hint"))
	ending := 0
	for _, e := range r.Excepted {
		if e.Soon {
			ending++
		}
	}
	for _, c := range []struct {
		n    int
		what string
	}{
		{len(r.Excepted), "excepted"}, {ending, "of them not for long"},
		{len(r.Unknown), "not judged in full"}, {r.LeftOut.Done, "done and left out"},
		{len(r.LeftOut.Namespaces), "namespaces left out"},
	} {
		if c.n > 0 {
			text += fmt.Sprintf("; %d %s", c.n, c.what)
		}
	}
	return text
}

// table prints the findings under their namespaces and objects, then all that people
// should know besides.
func (r *auditReport) table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var namespace *string
	var last auditObject
	for _, f := range r.Findings {
		if namespace == nil || *namespace != f.Object.Namespace {
			if namespace != nil {
				fmt.Fprintln(w)
			}
			fmt.Fprintln(w, title(f.Object.Namespace))
			namespace = &f.Object.Namespace
		}
		if f.Object != last {
			fmt.Fprintf(w, "  %s, %s old\n", f.Object, duration.HumanDuration(r.Time.Sub(f.Object.Created)))
			last = f.Object
		}
		fmt.Fprintf(w, "    %s\t%s\t%s\t%s\n", f.Severity, f.Rule, f.Path, f.Message)
	}
	r.tableOfExceptions(w)
	for _, u := range r.Unknown {
		for _, what := range u.What {
			fmt.Fprintf(w, "not known of %s in %s: %s\n", u.Object, title(u.Object.Namespace), what)
		}
	}
	return w.Flush()
}

func (r *auditReport) tableOfExceptions(w io.Writer) {
	if len(r.Excepted) == 0 {
		return
	}
	fmt.Fprintln(w, "\nexcepted")
	for _, e := range r.Excepted {
		mark := ""
		if e.Soon {
			mark = " (soon)"
		}
		fmt.Fprintf(w, "    until %s%s\t%s\t%s in %s\t%s\n", e.Until, mark, e.Rule, e.Object, title(e.Object.Namespace),
			e.Reason)
	}
}

// title is what a namespace is called.
func title(namespace string) string {
	if namespace == "" {
		return "the cluster"
	}
	return "namespace " + namespace
}

// listed lists namespaces, for people.
func listed(namespaces []string) string {
	if len(namespaces) == 0 {
		return "all namespaces"
	}
	return strings.Join(slices.Sorted(slices.Values(namespaces)), ", ")
}
