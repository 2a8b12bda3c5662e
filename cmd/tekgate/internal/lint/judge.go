package lint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/cmd/internal/judge"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/resolve"
	"github.com/tekgate/tekgate/validator"
)

// judging says by what objects are judged.
type judging struct {
	config    string
	namespace string // of objects that name none
	only      []string
	except    []string
	online    bool
	live      bool
	kube      kubeflags.Flags
	registry  release.Registries
	resolving resolving

	all []*validator.Rule
	now func() time.Time

	loaded *config.Configuration // see load
}

// load reads the configuration, and adds its rules to all.
func (j *judging) load() error {
	if j.loaded != nil {
		return nil
	}
	c, err := config.Load(j.config)
	if err != nil {
		return err
	}
	all, err := c.Validator.AllRules()
	if err != nil {
		return fmt.Errorf("configuration %s: validator.%w", j.config, err)
	}
	if len(c.Validator.Custom) > 0 {
		own := slices.DeleteFunc(slices.Clone(all), func(r *validator.Rule) bool {
			return !r.Own && r.ID != "exception"
		})
		builtIn := slices.DeleteFunc(slices.Clone(j.all), func(r *validator.Rule) bool { return r.ID == "exception" })
		j.all = slices.Concat(builtIn, own)
	}
	j.loaded = c
	return nil
}

func (j *judging) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&j.config, "config", "",
		"configuration `FILE`: its section validator has the modes of rules and their lists")
	f.StringVarP(&j.namespace, "namespace", "n", "",
		"`NAMESPACE` of objects that name none (default: any; with --live that of the kubeconfig's context)")
	f.StringSliceVar(&j.only, "only", nil, "judge by these `RULES` alone, those that are off among them (repeatable)")
	f.StringSliceVar(&j.except, "except", nil, "do not judge by these `RULES` (repeatable)")
	f.BoolVar(&j.online, "online", false,
		"ask registries too, for the rules that need to, with the credentials of the Docker configuration")
	f.BoolVar(&j.live, "live", false, "look up in the cluster what the files do not hold")
	j.kube.Add(cmd)
	j.registry.Flags(cmd)
	j.resolving.flags(cmd)
}

func (j *judging) check() error {
	if !j.live && !j.kube.Empty() {
		return errors.New("flags such as --kubeconfig and --context are for --live: pass that too, or leave them out")
	}
	if !j.online && !j.resolving.on && !j.registry.Empty() {
		return errors.New(
			"--ca-file and --plain-http are for --online and --resolve: pass one of these too, or leave them out")
	}
	if err := j.load(); err != nil {
		return err
	}
	problems := []error{j.resolving.check()}
	for _, id := range slices.Concat(j.only, j.except) {
		problems = append(problems, findings.Known(id, j.all))
	}
	return errors.Join(problems...)
}

// rules returns those that are asked, lint's own among them.
func (j *judging) rules() []*validator.Rule {
	return slices.DeleteFunc(slices.Concat(j.all, findings.LintRules), func(r *validator.Rule) bool {
		return (len(j.only) > 0 && !slices.Contains(j.only, r.ID) && r != findings.SyntaxRule) ||
			slices.Contains(j.except, r.ID)
	})
}

// judgement is what objects are judged by.
type judgement struct {
	validator  validator.Validator
	configured validator.Config // as the user wrote it
	rules      []*validator.Rule
	allowed    *suppressions
	namespace  string
	live       validator.Cluster // nil without --live
	notes      []string          // what is to be known of the cluster
	resolver   *resolve.Resolver // nil without --resolve
}

// prepare reads the configuration, and connects to whatever is to be asked. The paths are those that are judged.
func (j *judging) prepare(ctx context.Context, paths []string, allowed *suppressions) (*judgement, error) {
	err := j.load()
	if err != nil {
		return nil, err
	}
	c := j.loaded
	out := &judgement{configured: c.Validator, rules: j.rules(), allowed: allowed, namespace: j.namespace}
	out.validator = validator.Validator{Config: j.switchedOn(c.Validator), Now: j.now, Offline: true,
		Account: c.Account()}
	out.validator.Rules = slices.DeleteFunc(slices.Clone(out.rules),
		func(r *validator.Rule) bool { return r.Check == nil })
	if j.online {
		if out.validator.Registry, err = registry.NewExistence(j.registry.Options(), registryPatience); err != nil {
			return nil, err
		}
	}
	if out.resolver, err = j.resolving.open(paths, c, j.registry.Options()); err != nil {
		return nil, err
	}
	if j.live {
		err = j.connect(ctx, out)
	}
	return out, err
}

// registryPatience is how long a registry may take to answer for one image.
const registryPatience = 20 * time.Second

// switchedOn is the configuration with the rules on that --only names: whoever names
// a rule wants to see its findings.
func (j *judging) switchedOn(c validator.Config) validator.Config {
	rules := maps.Clone(c.Rules)
	for _, rule := range j.all {
		if slices.Contains(j.only, rule.ID) && rule.DefaultMode() == validator.Off && rules[rule.ID].Mode == "" {
			if rules == nil {
				rules = map[string]validator.RuleConfig{}
			}
			own := rules[rule.ID]
			own.Mode = validator.Warn
			rules[rule.ID] = own
		}
	}
	c.Rules = rules
	return c
}

func (j *judging) connect(ctx context.Context, out *judgement) error {
	rest, err := j.kube.RESTConfig()
	if err != nil {
		return err
	}
	if out.namespace == "" {
		if out.namespace, err = j.kube.Namespace(); err != nil {
			return err
		}
	}
	cluster, err := judge.Connect(rest)
	if err != nil {
		return err
	}
	out.live = cluster
	out.validator.Releases, out.notes = cluster.Newer(ctx)
	return nil
}

// judge judges all objects of the files, which are one set.
func (j *judgement) judge(ctx context.Context, files []*lintFile) (*report, error) {
	var objects []*linted
	var subjects []validator.Subject
	prepareRuns(files)
	fillFlux(files)
	for _, f := range files {
		for _, o := range f.objects {
			o.subject.File = filepath.ToSlash(filepath.Clean(f.name))
			if o.subject.Namespace == "" {
				o.subject.Namespace = j.namespace
			}
			objects, subjects = append(objects, o), append(subjects, o.subject)
		}
	}
	set := validator.NewSet(subjects)
	set.Elsewhere = j.allowed.Elsewhere
	set.Kustomized = slices.ContainsFunc(files, func(f *lintFile) bool { // standard input may be what it builds
		return f.beside || f.name == document.StandardInput
	})
	if err := j.resolveAll(ctx, objects); err != nil {
		return nil, err
	}
	outcomes := make([]validator.Outcome, len(objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(j.parallel())
	for i, o := range objects {
		group.Go(func() error {
			outcomes[i] = j.near(set, o.subject.File).Judge(ctx, o.subject)
			outcomes[i].Findings = append(outcomes[i].Findings, j.judgeRemote(ctx, set, o)...)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return j.report(files, objects, outcomes), nil
}

// near returns the validator of the objects in a file.
func (j *judgement) near(set *validator.Set, file string) *validator.Validator {
	v := j.validator
	v.Files = set
	if v.Cluster = set.Near(file); j.live != nil {
		v.Cluster = judge.Layers{Files: set.Near(file), Cluster: j.live}
	}
	return &v
}

// parallel is how many objects are judged at a time: more than there are processors
// where most of the time is spent waiting.
func (j *judgement) parallel() int {
	if j.live != nil || j.validator.Registry != nil {
		return 8
	}
	return runtime.GOMAXPROCS(0)
}

// report makes of outcomes what is shown.
func (j *judgement) report(files []*lintFile, objects []*linted, outcomes []validator.Outcome) *report {
	r := &report{files: len(files), unknown: slices.Clone(j.notes)}
	held := j.allowed.fresh(j.rules)
	for _, f := range files {
		held.comments(f)
	}
	for _, p := range slices.Concat(broken(files), duplicates(objects), j.substituted(objects)) {
		if p.Rule != findings.SyntaxRule.ID && held.holds(p) {
			r.suppressed++
			continue
		}
		r.problems = append(r.problems, p)
	}
	for i, o := range objects {
		if validator.Matches(o.subject.Kind) {
			r.objects++
		}
		r.excepted += len(outcomes[i].Excepted)
		for _, finding := range outcomes[i].Findings {
			p := j.problem(o, o.variables.restored(o.filling.restored(finding)))
			if held.holds(p) {
				r.suppressed++
				continue
			}
			r.problems = append(r.problems, p)
		}
		if o.remote != nil {
			outcomes[i].Unknown = append(outcomes[i].Unknown, o.remote.notes...)
		}
		for _, text := range outcomes[i].Unknown {
			r.unknown = append(r.unknown, o.object.Where()+": "+text)
		}
	}
	r.problems = append(r.problems, held.problems()...)
	unasked := func(p *problem) bool {
		return !slices.ContainsFunc(j.rules, func(rule *validator.Rule) bool { return rule.ID == p.Rule })
	}
	r.problems = slices.DeleteFunc(r.problems, unasked)
	slices.SortStableFunc(r.problems, byPlace)
	return r
}

// problem places a finding in its file.
func (j *judgement) problem(o *linted, finding validator.Finding) *problem {
	var reader object.Reader
	metadata := reader.Fields(o.fields(), "metadata")
	position := o.object.Position
	if finding.Key {
		position = o.object.KeyPosition
	}
	line, column := position(finding.Path)
	return &problem{
		File: o.file.name, Line: line, Column: column,
		Kind: o.subject.Kind.Kind, Name: objects.Name(metadata), Namespace: o.subject.Namespace,
		Rule: finding.Rule, Severity: j.severity(finding, o.subject.Namespace),
		Path: finding.Path, Message: finding.Message, Fix: finding.Fix, object: o,
	}
}

// severity is the rule's own, unless the configuration says what becomes of its
// findings.
func (j *judgement) severity(finding validator.Finding, namespace string) validator.Severity {
	own := j.configured.Rules[finding.Rule]
	said := own.Mode != "" || slices.ContainsFunc(own.Namespaces, func(n validator.NamespaceMode) bool {
		return slices.ContainsFunc(n.Match, func(pattern string) bool {
			matched, _ := path.Match(pattern, namespace)
			return matched
		})
	})
	if !said {
		return finding.Severity
	}
	switch finding.Mode {
	case validator.Enforce:
		return validator.Error
	case validator.Warn:
		return validator.Warning
	}
	return validator.Info
}

// byPlace orders findings by their place.
func byPlace(a, b *problem) int {
	return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Rule, b.Rule),
		strings.Compare(a.Message, b.Message))
}
