// Package audit checks the objects of a cluster by the validator's rules.
package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/cmd/internal/judge"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/validator"
)

// audit is what audit's flags say.
type audit struct {
	kube   kubeflags.Flags
	scope  auditScope
	config string
	rules  []string
	least  string // severity
	failOn findings.Threshold
	output cli.Output
}

// auditScope says which objects are judged.
type auditScope struct {
	namespace  string // "" for all
	everywhere bool   // -A: not namespace by namespace where all cannot be listed
	selector   string
	done       bool // runs that are done, too
}

// Command returns the command.
func Command() *cobra.Command {
	var a audit
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Judge everything that a cluster holds by the validator's rules",
		Long: `Judge all that a cluster holds of Tekton's kinds by the very rules that the
admission webhook judges new objects by: what was stored before the rules were there,
what has broken since, and what is excepted from them and for how long.

Nothing is written. Objects are read with the permissions that you have; a kind that
you may not list is named, and the exit status says that the audit is incomplete. Of
Secrets nothing but the names of their keys is looked at, and only of those that
triggers name. What a ServiceAccount may do is asked of the API server.

Without -n all namespaces are read that you may read, one by one where you may not
list all at once; those of the system, Tekton's and Tekgate's own, and those that
opted out by the label tekgate.dev/validate are left out unless -n names them. So are
objects that are being deleted, runs that are done (--all judges those too) and runs
that belong to a PipelineRun, which speaks for them.

The rules are configured by the ConfigMap tekgate-config of the cluster, unless
--config names a file. The mode of a finding says what the webhook would make of it
today: enforce refuses the object if it were new.

The exit status is 0 if there is nothing at or above --fail-on, 1 if there is, and 2
if not everything could be read and judged. --fail-on is never by default: an audit
lists what others have stored, and that it found something is no failure of its own.
docs/policy.md has the formats.`,
		Example: `  # what is wrong in all namespaces
  tekgate audit

  # a page to hand on
  tekgate audit -A -o html > audit.html

  # as Reports of the OpenReports API
  tekgate audit -o openreports | kubectl apply --server-side --force-conflicts -f -

  # in a pipeline: nothing that cannot work in production
  tekgate audit -n production --fail-on error`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context(), cli.StreamsOf(cmd)) },
	}
	f := cmd.Flags()
	f.StringVarP(&a.scope.namespace, "namespace", "n", "", "`NAMESPACE` to judge alone, whichever it is")
	f.BoolVarP(&a.scope.everywhere, "all-namespaces", "A", false,
		"read all namespaces at once, and none where you may not")
	f.StringVarP(&a.scope.selector, "selector", "l", "", "label `SELECTOR` of what is judged, such as app=shop")
	f.BoolVar(&a.scope.done, "all", false, "judge runs that are done, too")
	f.StringVar(&a.config, "config", "", "configuration `FILE` (default: the cluster's ConfigMap tekgate-config)")
	f.StringArrayVar(&a.rules, "rule", nil, "`RULE` to judge by, and no other (repeatable)")
	f.StringVar(&a.least, "severity", "info", "least `SEVERITY` of what is reported: error, warning or info")
	a.failOn.Flag(cmd, "never")
	a.output.Flag(cmd, "result", "table", "json", "yaml", "name", "jsonpath", "html", "openreports")
	a.kube.Add(cmd)
	return cmd
}

func (a *audit) check() error {
	switch {
	case a.output.Check() != nil:
		return a.output.Check()
	case findings.Order(validator.Severity(a.least)) < 0:
		return fmt.Errorf("--severity %q is not known: say error, warning or info", a.least)
	case a.failOn.Check() != nil:
		return a.failOn.Check()
	case a.scope.everywhere && a.scope.namespace != "":
		return errors.New("--namespace and --all-namespaces contradict each other: leave one out")
	}
	return nil
}

// chosen returns those of all rules that are asked.
func (a *audit) chosen(all []*validator.Rule) ([]*validator.Rule, error) {
	var problems []error
	for _, id := range a.rules {
		problems = append(problems, findings.Known(id, all))
	}
	chosen := []*validator.Rule{}
	for _, rule := range all {
		if findings.Threshold(a.least).ReachedBy(rule.Severity) &&
			(len(a.rules) == 0 || slices.Contains(a.rules, rule.ID)) {
			chosen = append(chosen, rule)
		}
	}
	return chosen, errors.Join(problems...)
}

func (a *audit) run(ctx context.Context, streams cli.Streams) error {
	if err := a.check(); err != nil {
		return cli.Exit(2, err)
	}
	selector, err := labels.Parse(a.scope.selector)
	if err != nil {
		return cli.Exit(2, fmt.Errorf("reading --selector: %w", err))
	}
	report, err := a.judge(ctx, selector, streams.ErrOut)
	if err != nil {
		return cli.Exit(2, err)
	}
	if err := a.print(streams.Out, report); err != nil {
		return cli.Exit(2, fmt.Errorf("printing the findings: %w", err))
	}
	fmt.Fprintln(streams.ErrOut, report.sentence())
	if a.output.Format == "openreports" && report.Complete {
		fmt.Fprintln(streams.ErrOut, report.saidOfReports())
	}
	return a.verdict(report)
}

func (a *audit) print(out io.Writer, report *auditReport) error {
	switch a.output.Format {
	case "html":
		return report.html(out)
	case "openreports":
		return report.openReports(out)
	}
	return a.output.Print(out, report, report.table)
}

// verdict is the error that the program ends with.
func (a *audit) verdict(report *auditReport) error {
	bad := 0
	for _, finding := range report.Findings {
		if a.failOn.ReachedBy(finding.Severity) {
			bad++
		}
	}
	var found string
	if bad > 0 {
		found = fmt.Sprintf("%s at or above %s", cli.Plural(bad, "finding"), a.failOn)
	}
	switch n := len(report.Unread); {
	case n > 0 && bad > 0:
		return cli.Exit(2, fmt.Errorf("%s, and the audit is incomplete: %d reads were refused", found, n))
	case n > 0:
		return cli.Exit(2, fmt.Errorf("the audit is incomplete: %d reads were refused", n))
	case bad > 0:
		return errors.New(found)
	}
	return nil
}

// judge reads the cluster and judges it.
func (a *audit) judge(ctx context.Context, selector labels.Selector, errOut io.Writer) (*auditReport, error) {
	rest, err := a.kube.RESTConfig()
	if err != nil {
		return nil, err
	}
	server, namespace, err := a.kube.Lookup()
	if err != nil {
		return nil, err
	}
	singly, err := judge.Connect(rest)
	if err != nil {
		return nil, err
	}
	show := cli.NewStatusLine(errOut)
	defer show.Clear()
	r := &reading{server: server, scope: a.scope, selector: selector, own: namespace, show: show,
		report: newAuditReport(rest.Host, time.Now()), there: newSnapshot(singly)}
	v := &validator.Validator{Cluster: r.there}
	if v.Config, v.Account, err = a.configuration(ctx, r); err != nil {
		return nil, err
	}
	if r.report.rules, err = v.Config.AllRules(); err != nil {
		return nil, fmt.Errorf("configuration: validator.%w", err)
	}
	if v.Rules, err = a.chosen(r.report.rules); err != nil {
		return nil, err
	}
	a.sayOff(v, errOut)
	var notes []string
	v.Releases, notes = singly.Newer(ctx)
	for _, note := range notes {
		fmt.Fprintln(errOut, "warning:", note)
	}
	if err := r.all(ctx); err != nil {
		return nil, err
	}
	for i, o := range r.judged {
		show.Show(fmt.Sprintf("judging %d of %d objects", i+1, len(r.judged)))
		r.report.add(o, v.Judge(ctx, o.subject))
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("judging: %w", err)
		}
	}
	return r.report, nil
}

// configuration is what configures the rules: a file, or the cluster's own.
func (a *audit) configuration(ctx context.Context, r *reading) (rules validator.Config, account string, err error) {
	if a.config != "" {
		c, err := config.Load(a.config)
		if err != nil {
			return rules, "", err
		}
		r.use("the file " + a.config)
		return c.Validator, c.Account(), nil
	}
	const name = "ConfigMap " + wellknown.TekgateNamespace + "/" + wellknown.ConfigMap
	cm, err := r.server.Get(ctx, schema.GroupKind{Kind: "ConfigMap"}, wellknown.TekgateNamespace, wellknown.ConfigMap)
	switch {
	case refusedByServer(err):
		r.unread("ConfigMap", []string{wellknown.TekgateNamespace}, err,
			"pass the configuration with --config; without it the defaults count")
		r.use("the defaults")
		return validator.Default(), "", nil
	case err != nil:
		return rules, "", err
	case cm == nil:
		r.use("the defaults, since there is no " + name)
		return validator.Default(), "", nil
	}
	text, _ := cm.Object["data"].(map[string]any)[wellknown.ConfigMapKey].(string)
	c, err := config.Parse([]byte(text))
	if err != nil {
		return rules, "", fmt.Errorf("%s: config.yaml: %w: pass another with --config", name, err)
	}
	r.use(name)
	return c.Validator, c.Account(), nil
}

// sayOff tells of rules that were asked for by name and that nobody has switched on.
func (a *audit) sayOff(v *validator.Validator, errOut io.Writer) {
	for _, rule := range v.Rules {
		set, mode := v.Config.Rules[rule.ID], rule.DefaultMode()
		if set.Mode != "" {
			mode = set.Mode
		}
		if mode == validator.Off && len(set.Namespaces) == 0 && slices.Contains(a.rules, rule.ID) {
			fmt.Fprintf(errOut,
				"warning: rule %s is off in this configuration: set validator.rules.%[1]s.mode to ask it\n", rule.ID)
		}
	}
}

// auditedKinds are those that some rule is for, and what rules look up everywhere.
func auditedKinds() []schema.GroupKind {
	kinds := []schema.GroupKind{serviceAccountKind}
	for _, rule := range validator.Rules {
		if rule.Files {
			continue
		}
		for _, kind := range rule.Kinds {
			if gk := kind.GroupKind(); !slices.Contains(kinds, gk) {
				kinds = append(kinds, gk)
			}
		}
	}
	slices.SortFunc(kinds, func(a, b schema.GroupKind) int { return strings.Compare(a.String(), b.String()) })
	return kinds
}

var serviceAccountKind = schema.GroupKind{Kind: "ServiceAccount"}
