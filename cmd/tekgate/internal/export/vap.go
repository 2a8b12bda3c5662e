package export

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/export/vap"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// vapExport is what the flags of export vap say.
type vapExport struct {
	config    string
	strict    bool
	pipelines string // the namespace of Tekton Pipelines
	output    cli.Output
}

func vapCommand() *cobra.Command {
	var e vapExport
	cmd := &cobra.Command{
		Use:   "vap",
		Short: "Write the validator's rules as ValidatingAdmissionPolicies",
		Long: `Write rules of the section validator as ValidatingAdmissionPolicy and
ValidatingAdmissionPolicyBinding objects (admissionregistration.k8s.io/v1, Kubernetes
1.30 or later; 1.34 for lists of ext.Lists in rules of your own). The API server
evaluates them by itself: no webhook is asked, and none can be down.

Exported are those built-in rules about a single object that CEL can express, and the
rules of validator.custom that do not use set. The mode enforce becomes the action
Deny, warn becomes Warn and audit Audit. Exceptions and namespaces become conditions.

Rules that are not exported are listed with the reason on standard error, and by -o
json under remainder; what policies do otherwise than the webhook under limits. With
--strict a remainder is an error.`,
		Example: `  tekgate export vap --config tekgate.yaml | kubectl apply --server-side -f -
  tekgate export vap --config tekgate.yaml -o json | jq .remainder`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q is not expected: the configuration is named with --config", args[0])
			}
			return e.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return e.run(cli.StreamsOf(cmd)) },
	}
	f := cmd.Flags()
	e.output.Flag(cmd, "result", objects.Formats...)
	f.StringVar(&e.config, "config", "", "configuration `FILE` (default: the defaults)")
	f.BoolVar(&e.strict, "strict", false, "write nothing, and fail, where a rule cannot be exported")
	f.StringVar(&e.pipelines, "tekton-namespace", wellknown.PipelinesNamespace,
		"namespace of Tekton Pipelines, whose controller creates TaskRuns")
	return cmd
}

func (e *vapExport) check() error {
	if problems := validation.IsDNS1123Label(e.pipelines); len(problems) > 0 {
		return fmt.Errorf("--tekton-namespace %q is not the name of a namespace: %s", e.pipelines, problems[0])
	}
	return e.output.Check()
}

func (e *vapExport) run(streams cli.Streams) error {
	c, err := config.Load(e.config)
	if err != nil {
		return err
	}
	in := vap.Input{Config: c.Validator, Controller: mutator.ControllerOf(e.pipelines)}
	if in.Namespaces, err = judgedNamespaces(); err != nil {
		return err
	}
	set, err := vap.Compile(in)
	if err != nil {
		return fmt.Errorf("validator.%w", err)
	}
	for _, l := range set.Remainder {
		fmt.Fprintf(streams.ErrOut, "not exported: rule %s: %s\n", l.Rule, l.Reason)
	}
	if e.strict && len(set.Remainder) > 0 {
		return fmt.Errorf(
			"%d rules cannot be exported: leave out --strict, or switch them off with `mode: off`",
			len(set.Remainder),
		)
	}
	if e.output.Format != "yaml" {
		return printVAPFor(streams.Out, &e.output, set)
	}
	for _, l := range set.Limits {
		fmt.Fprintf(streams.ErrOut, "limit: %s\n", l.Reason)
	}
	return printVAPYAML(streams.Out, set)
}

// judgedNamespaces returns the selector of the namespaces that the webhook which this release
// installs is asked about.
func judgedNamespaces() (*metav1.LabelSelector, error) {
	registered, err := objects.Selectors("ValidatingWebhookConfiguration")
	if err != nil {
		return nil, err
	}
	if len(registered) == 0 || registered[0] == nil {
		return nil, errors.New("finding the namespaces of the webhook: this release registers none")
	}
	return registered[0], nil
}

func printVAPYAML(out io.Writer, set *vap.Set) error {
	var head strings.Builder
	if len(set.Limits) > 0 {
		head.WriteString("# Limits of these policies:\n")
	}
	for _, l := range set.Limits {
		fmt.Fprintf(&head, "# - %s\n", l.Reason)
	}
	if _, err := io.WriteString(out, head.String()); err != nil {
		return fmt.Errorf("printing the policies: %w", err)
	}
	policies, err := withBindings(set.Policies, set.Bindings)
	if err != nil {
		return err
	}
	return objects.PrintYAML(out, policies)
}

func printVAPFor(out io.Writer, output *cli.Output, set *vap.Set) error {
	policies, err := withBindings(set.Policies, set.Bindings)
	if err != nil {
		return err
	}
	return output.Print(out, exported[vap.Limit]{policies, append([]vap.Limit{}, set.Remainder...),
		append([]vap.Limit{}, set.Limits...)}, nil)
}
