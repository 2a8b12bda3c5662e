// Package export exports the configuration as objects that work without Tekgate.
package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/cmd/internal/lookup"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/policy"
)

// Command returns the command.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the configuration in the words of others",
		Long:  `Write what the configuration says as objects that work without Tekgate.`,
	}
	cmd.AddCommand(mapCommand(), vapCommand())
	return cmd
}

// mapExport is what the flags of export map say.
type mapExport struct {
	source    release.Source
	kube      kubeflags.Flags
	live      bool
	strict    bool
	pipelines string // the namespace of Tekton Pipelines
	output    cli.Output
}

func mapCommand() *cobra.Command {
	var e mapExport
	cmd := &cobra.Command{
		Use:   "map",
		Short: "Write the mutator's rules as MutatingAdmissionPolicies",
		Long: `Write what CEL can say of the section mutator as MutatingAdmissionPolicy and
MutatingAdmissionPolicyBinding objects (admissionregistration.k8s.io/v1, Kubernetes
1.36 or later). The API server evaluates them by itself: no webhook is asked, and
none can be down. They change an object as the webhook would, or leave it alone; a
webhook beside them does the rest, and nothing twice.

Policies are written for TaskRuns and PipelineRuns, and for the Tasks, Pipelines and
StepActions that a resolver fetches for them. The latter hold only in the dry runs
that Tekton's controller makes since Tekton v0.62, so nothing that is stored changes.
They recognize the controller by its user name: if Tekton runs in another namespace
than tekton-pipelines, pass it with --tekton-namespace.

Rules that are not exported are listed with the reason: at the top of the output, on
standard error, and by -o json under remainder. What the exported rules leave alone
is listed as well, under limits. With --strict a remainder is an error.

ServiceAccounts are looked up by the API server. Tekton's ConfigMaps are not: their
defaults are taken, or with --live what the cluster's say now; export once more when
they change.`,
		Example: `  tekgate export map --config tekgate.yaml | kubectl apply --server-side -f -
  tekgate export map --config tekgate.yaml --live -o json | jq .remainder`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q is not expected: the configuration is named with --config", args[0])
			}
			return e.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return e.run(cmd.Context(), cli.StreamsOf(cmd)) },
	}
	f := cmd.Flags()
	e.output.Flag(cmd, "result", objects.Formats...)
	f.BoolVar(&e.strict, "strict", false,
		"write nothing, and fail, where a rule of the configuration cannot be exported")
	f.BoolVar(&e.live, "live", false, "take Tekton's settings from the cluster")
	f.StringVar(&e.pipelines, "tekton-namespace", wellknown.PipelinesNamespace,
		"namespace of Tekton Pipelines, whose controller's dry runs are changed and whose settings --live reads")
	e.source.EngineFlags(cmd)
	e.kube.Add(cmd)
	return cmd
}

func (e *mapExport) check() error {
	switch {
	case e.output.Check() != nil:
		return e.output.Check()
	case !e.live && (!e.kube.Empty()):
		return errors.New("flags such as --kubeconfig and --context are for --live: pass that too, or leave them out")
	case len(validation.IsDNS1123Label(e.pipelines)) > 0:
		return fmt.Errorf("--tekton-namespace %q is not the name of a namespace: %s", e.pipelines,
			validation.IsDNS1123Label(e.pipelines)[0])
	}
	return nil
}

func (e *mapExport) run(ctx context.Context, streams cli.Streams) error {
	config, rules, err := e.source.Engine()
	if err != nil {
		return err
	}
	in := policy.Input{Config: config, Mirror: rules, Controller: mutator.ControllerOf(e.pipelines)}
	if in.Namespaces, err = registeredNamespaces(); err != nil {
		return err
	}
	if in.Tekton, err = e.tekton(ctx); err != nil {
		return err
	}
	set, err := policy.Compile(in)
	if err != nil {
		return fmt.Errorf("mutator.%w", err)
	}
	for _, l := range set.Remainder {
		fmt.Fprintf(streams.ErrOut, "not exported: %s\n", limitText(l))
	}
	if e.strict && len(set.Remainder) > 0 {
		return fmt.Errorf(
			"%d rules of the configuration cannot be exported: leave out --strict, or switch them off with `disabled: true`",
			len(set.Remainder))
	}
	if e.output.Format != "yaml" {
		return printMapFor(streams.Out, &e.output, set)
	}
	for _, l := range set.Limits {
		fmt.Fprintf(streams.ErrOut, "limit: %s\n", limitText(l))
	}
	return printMapYAML(streams.Out, set)
}

// tekton returns the settings that become part of the policies.
func (e *mapExport) tekton(ctx context.Context) (mutator.Tekton, error) {
	if !e.live {
		return mutator.Tekton{}, nil
	}
	server, _, err := e.kube.Lookup()
	if err != nil {
		return mutator.Tekton{}, err
	}
	var problems []error
	cluster := lookup.New(server,
		lookup.Options{Tekton: e.pipelines,
			Problem: func(err error) { problems = append(problems, err) }})
	settings := cluster.Tekton(ctx)
	return settings, errors.Join(problems...)
}

// registeredNamespaces returns the selector of the namespaces whose runs the webhook
// that this release installs is asked about.
func registeredNamespaces() (*metav1.LabelSelector, error) {
	registered, err := objects.Selectors(live.Mutating.Kind)
	if err != nil {
		return nil, err
	}
	if len(registered) == 0 || registered[0] == nil {
		return nil, errors.New("finding the namespaces of the webhook: this release registers none")
	}
	return registered[0], nil
}

// limitText says a limit in one line.
func limitText(l policy.Limit) string {
	if l.Rule == "" {
		return l.Reason
	}
	return "rule " + l.Rule + ": " + l.Reason
}

// withBindings returns each policy with its binding, and without the status that the API server writes.
func withBindings[P, B any](policies []P, bindings []B) ([]*unstructured.Unstructured, error) {
	all := []*unstructured.Unstructured{}
	for i := range policies {
		for _, typed := range []any{&policies[i], &bindings[i]} {
			fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
			if err != nil {
				return nil, fmt.Errorf("encoding a policy: %w", err)
			}
			delete(fields, "status")
			all = append(all, &unstructured.Unstructured{Object: fields})
		}
	}
	return all, nil
}

func printMapYAML(out io.Writer, set *policy.Set) error {
	var head strings.Builder
	list := func(title string, limits []policy.Limit) {
		if len(limits) == 0 {
			return
		}
		fmt.Fprintf(&head, "# %s\n", title)
		for _, l := range limits {
			fmt.Fprintf(&head, "# - %s\n", limitText(l))
		}
	}
	list("Not exported:", set.Remainder)
	list("Limits of these policies:", set.Limits)
	if _, err := io.WriteString(out, head.String()); err != nil {
		return fmt.Errorf("printing the policies: %w", err)
	}
	policies, err := withBindings(set.Policies, set.Bindings)
	if err != nil {
		return err
	}
	return objects.PrintYAML(out, policies)
}

func printMapFor(out io.Writer, output *cli.Output, set *policy.Set) error {
	policies, err := withBindings(set.Policies, set.Bindings)
	if err != nil {
		return err
	}
	return output.Print(out, exported[policy.Limit]{policies, append([]policy.Limit{}, set.Remainder...),
		append([]policy.Limit{}, set.Limits...)}, nil)
}

// exported is what programs read: the objects, and what they do not do.
type exported[Limit any] struct {
	Objects   []*unstructured.Unstructured `json:"objects"`
	Remainder []Limit                      `json:"remainder"`
	Limits    []Limit                      `json:"limits"`
}

// Names returns the names of the objects.
func (e exported[Limit]) Names() []string { return objects.ListOf(e.Objects).Names() }
