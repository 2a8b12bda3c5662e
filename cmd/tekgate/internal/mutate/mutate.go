// Package mutate shows what the admission webhook would change in objects, and why.
package mutate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/internal/lookup"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// mutation is what mutate's flags say.
type mutation struct {
	files     []string
	source    release.Source
	kube      kubeflags.Flags
	namespace string
	live      bool
	resolved  bool
	explain   bool
	exitCode  bool
	output    cli.Output
}

// Command returns the command.
func Command() *cobra.Command {
	var m mutation
	cmd := &cobra.Command{
		Use:   "mutate -f FILE",
		Short: "Say what the admission webhook would make of objects, and why",
		Long: `Run the code of the admission webhook on objects in files, without a cluster, and
print what becomes of them: all of them, as YAML or JSON, a diff, or the JSON
patches that the webhook would answer. --explain says of every rule what it did,
and why it did nothing.

What the rules have to look up (ServiceAccounts, Namespaces, Tasks, Tekton's
ConfigMaps) they find among the objects of the files. A ServiceAccount or ConfigMap of a
certificate authority that is not among them is taken for one that exists and has what is
needed. With --live what is not in the files is looked up in the cluster.

The webhook changes a Task, Pipeline or StepAction where Tekton's controller has
fetched it by a resolver. What is stored stays, unless mutator.localTasks.mode is
stored. Here all are shown as they would run. One that is signed is left alone, as
it would be if you applied the result; --resolved shows it as it would run, too. A
TriggerTemplate is never changed: what becomes of the runs in it is decided when an
event creates them, and --explain says what is known before.

YAML keeps its comments and its order where that is possible, and documents that
are not changed are printed as they are.`,
		Example: `  # what would happen, and why
  tekgate mutate -f run.yaml --config tekgate.yaml -o diff --explain

  # with the ServiceAccounts, Tasks and settings of a cluster
  tekgate mutate -f run.yaml --config tekgate.yaml --live

  # images from a mirror, in a pipeline that fails if one is not there yet
  tekgate mutate -f .tekton --mirror registry.example.com/hub -o diff --exit-code`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q is not expected: name files with -f", args[0])
			}
			return m.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return m.run(cmd.Context(), cli.StreamsOf(cmd)) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&m.files, "filename", "f", nil,
		"`FILE` or folder of YAML or JSON, or - for standard input (repeatable)")
	f.StringVarP(&m.namespace, "namespace", "n", "",
		"`NAMESPACE` of objects that name none (default: default; with --live that of the kubeconfig's context)")
	f.BoolVar(&m.explain, "explain", false,
		"say why each rule did something or nothing: on standard error, with -o json in the result")
	f.BoolVar(&m.live, "live", false, "look up in the cluster what the files do not hold")
	f.BoolVar(&m.resolved, "resolved", false,
		"show signed Tasks, Pipelines and StepActions as they run when a resolver has fetched them")
	f.BoolVar(&m.exitCode, "exit-code", false, "exit with status 2 when something would change (1 is an error)")
	m.output.Flag(cmd, "result", "yaml", "json", "name", "jsonpath", "diff", "patch")
	m.source.EngineFlags(cmd)
	m.kube.Add(cmd)
	return cmd
}

func (m *mutation) check() error {
	switch {
	case len(m.files) == 0:
		return errors.New("nothing is named to be read: pass -f with a file or folder, or -f - for standard input")
	case m.output.Check() != nil:
		return m.output.Check()
	case !m.live && (!m.kube.Empty()):
		return errors.New("flags such as --kubeconfig and --context are for --live: pass that too, or leave them out")
	}
	return nil
}

func (m *mutation) run(ctx context.Context, streams cli.Streams) error {
	errOut := streams.ErrOut
	read, err := readInput(m.files, streams.In)
	if err != nil {
		return err
	}
	for _, note := range read.notes {
		fmt.Fprintln(errOut, "note:", note)
	}
	engine, err := m.engine(read.objects, errOut)
	if err != nil {
		return err
	}
	var results []*result
	for _, o := range read.objects {
		found, err := engine.mutate(ctx, o)
		if err != nil {
			return err
		}
		results = append(results, found...)
	}
	if err := m.print(streams.Out, read.documents, results); err != nil {
		return err
	}
	return m.report(errOut, results)
}

// report tells people what happened.
func (m *mutation) report(errOut io.Writer, results []*result) error {
	if m.explain && m.output.Format != "json" && m.output.Format != "jsonpath" { // these have it
		explainResults(errOut, results)
	}
	changed, objects, stored := 0, 0, 0
	for _, r := range results {
		for _, warning := range r.warnings() {
			fmt.Fprintf(errOut, "warning: %s: %s\n", r.name(), warning)
		}
		if r.within == "" {
			objects++
		}
		if r.changed() {
			changed++
		}
		if r.changed() && r.stored() && !r.outcome.Kept {
			stored++
		}
	}
	fmt.Fprintf(errOut, "%d objects, %d would change\n", objects, changed)
	if stored > 0 {
		fmt.Fprintf(errOut,
			"%d of these Tekton runs like this where a resolver has fetched them; what is stored in the cluster stays as it is\n",
			stored)
	}
	if m.exitCode && changed > 0 {
		return cli.Exit(2, fmt.Errorf("%d of %d objects would change", changed, objects))
	}
	return nil
}

// input is what mutate reads.
type input struct {
	documents []*document.Document
	objects   []*document.Object
	notes     []string // what was passed over in folders
}

// readInput reads files and folders. A file that is named has to hold objects; in a folder there may be
// other files, which are passed over with a note.
func readInput(paths []string, in io.Reader) (*input, error) {
	var read input
	for i, path := range paths {
		if path == "-" && slices.Contains(paths[:i], "-") {
			return nil, errors.New("standard input can be read once only: name - once")
		}
		names, err := document.Files(path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if err := read.file(name, name == path, in); err != nil {
				return nil, err
			}
		}
	}
	if len(read.documents) == 0 && len(read.notes) == 0 {
		return nil, fmt.Errorf("reading %s: there is no YAML or JSON document in it", strings.Join(paths, ", "))
	}
	return &read, nil
}

// file reads one file.
func (read *input) file(name string, named bool, in io.Reader) error {
	documents, err := document.ReadFile(name, in)
	var malformed *document.SyntaxError
	if errors.As(err, &malformed) && !named {
		read.pass(err)
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range documents {
		found, err := d.Objects()
		var not *document.NotAnObjectError
		switch {
		case errors.As(err, &not) && !named:
			read.pass(err)
			continue
		case err != nil:
			return err
		}
		read.documents, read.objects = append(read.documents, d), append(read.objects, found...)
	}
	return nil
}

func (read *input) pass(err error) { read.notes = append(read.notes, "passed over "+err.Error()) }

// engine is the webhook's code, and what stands for the cluster.
type engine struct {
	mutator   *mutator.Mutator
	reach     objects.Reach
	namespace string // of objects that name none
	resolved  bool
	explain   bool
}

// engine prepares the rules, with the objects in the place of the cluster or over
// it.
func (m *mutation) engine(given []*document.Object, errOut io.Writer) (*engine, error) {
	e := &engine{namespace: m.namespace, resolved: m.resolved, explain: m.explain}
	options := lookup.Options{Tekton: wellknown.PipelinesNamespace, Assume: !m.live, Problem: func(err error) {
		fmt.Fprintf(errOut, "warning: %v\n", err)
	}}
	files := lookup.Files{}
	var found lookup.Objects = files
	if m.live {
		server, namespace, err := m.kube.Lookup()
		if err != nil {
			return nil, err
		}
		if e.namespace == "" {
			e.namespace = namespace
		}
		found = lookup.Layers{files, server}
	}
	if e.namespace == "" {
		e.namespace = "default"
	}
	for _, o := range given {
		files.Add(o.Fields, e.namespace)
	}
	config, rules, err := m.source.Engine()
	if err != nil {
		return nil, err
	}
	e.mutator, err = mutator.New(config, rules, lookup.New(found, options))
	if err != nil {
		return nil, fmt.Errorf("mutator.%w", err)
	}
	e.reach, err = objects.ReadReach()
	return e, err
}

// result is what became of one object, or of a run that a TriggerTemplate holds.
type result struct {
	object    *document.Object
	within    string // where in the object the run stands; "" for the object itself
	kind      schema.GroupVersionKind
	namespace string
	called    string // its name, with * for what the server will generate
	outcome   mutator.Outcome
}

func (r *result) changed() bool { return r.within == "" && len(r.outcome.Patch) > 0 }

// stored tells whether it is of a kind that runs refer to.
func (r *result) stored() bool {
	return slices.Contains([]string{"Task", "Pipeline", "StepAction"}, r.kind.Kind)
}

// name is how it is called in messages.
func (r *result) name() string {
	name := r.kind.Kind + " " + r.namespace + "/" + r.called
	if r.within != "" {
		fields := objects.Metadata(r.object.Fields)
		name = fmt.Sprintf("TriggerTemplate %s/%s, %s, %s", objects.NamespaceOr(fields, r.namespace),
			objects.Name(fields), r.within, r.kind.Kind)
	}
	return name
}

// mutate passes an object to the rules. The first result is its own; those of the
// runs that a TriggerTemplate holds follow.
func (e *engine) mutate(ctx context.Context, o *document.Object) ([]*result, error) {
	r, err := e.one(ctx, o, o.Fields, o.Raw, e.namespace)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Where(), err)
	}
	results := []*result{r}
	for _, template := range objects.Templates(o.Fields) {
		// Triggers creates the run in the namespace of the Trigger, which is the template's.
		inner, err := e.one(ctx, o, template.Fields, template.Raw, r.namespace)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", o.Where(), template.Path, err)
		}
		inner.within = template.Path
		results = append(results, inner)
	}
	return results, nil
}

// one passes an object, or a run within it, to the rules. The namespace is that of one that names none.
func (e *engine) one(ctx context.Context, o *document.Object, fields map[string]any, raw []byte,
	namespace string) (*result, error) {
	version, _ := fields["apiVersion"].(string)
	kind, _ := fields["kind"].(string)
	metadata := objects.Metadata(fields)
	r := &result{object: o, kind: schema.FromAPIVersionAndKind(version, kind),
		namespace: objects.NamespaceOr(metadata, namespace), called: objects.Name(metadata)}
	if !mutator.Matches(r.kind) {
		return r, nil
	}
	var err error
	r.outcome, err = e.mutator.Mutate(ctx, mutator.Request{
		Kind: r.kind, Namespace: r.namespace, Raw: raw, Resolved: e.resolved && r.stored(), Explain: e.explain,
	})
	if len(r.outcome.Patch) > 0 && !e.reach.Has(r.namespace) {
		r.outcome.Warnings = append(r.outcome.Warnings,
			fmt.Sprintf("the API server does not ask Tekgate in namespace %q, so nothing of this happens there",
				r.namespace))
	}
	return r, err
}
