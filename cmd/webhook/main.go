// Command webhook is the admission server: it gives TaskRuns what the mutator's
// rules give them, and refuses what the validator's rules refuse.
//
// It serves /mutate and /validate over HTTPS, with a certificate from the CA in
// the Secret tekgate-webhook-ca, replaces that CA in time, and writes it into the
// two webhook configurations of a Tekgate installation, whose conditions it keeps to
// what the configuration wants to be asked about; or, where --certificate-secret
// names one, it serves that of cert-manager, whose CA it writes. It reads no Secrets but
// these and never logs an object.
package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

func main() { os.Exit(server.Main(wellknown.Webhook, os.Args[1:], run)) }

// options are what the command line says. What the rules do is said in the
// configuration file alone.
type options struct {
	kubeconfig string
	config     string
	namespace  string
	service    string
	issued     string
	tekton     string
	bind       string
	health     string
	metrics    string
	drain      time.Duration
	recheck    time.Duration
	overlap    time.Duration
}

// run serves until ctx ends. Its logs go to errOut.
func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	var o options
	command := &cobra.Command{
		Use:               "webhook",
		Short:             "Serve Tekgate's admission rules to a Kubernetes API server",
		Args:              cobra.NoArgs,
		SilenceErrors:     true, // the caller prints the error, once
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(command *cobra.Command, _ []string) error {
			return start(command.Context(), o, errOut)
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.kubeconfig, "kubeconfig", "",
		"kubeconfig `file`; by default that of kubectl, or the Pod's own ServiceAccount")
	flags.StringVar(&o.config, "config", "", "configuration `file`; without one the defaults hold")
	flags.StringVar(&o.namespace, "namespace", server.Namespace(),
		"namespace of the server's Service and of the Secret with its CA")
	flags.StringVar(&o.service, "service", wellknown.Webhook, "name of the server's Service, for its certificate")
	flags.StringVar(&o.issued, "certificate-secret", "",
		"`name` of the Secret in which cert-manager keeps the server's certificate, and of the Certificate that asks for it; without one the server signs its own")
	flags.StringVar(&o.tekton, "tekton-namespace", wellknown.PipelinesNamespace,
		"namespace of Tekton Pipelines, whose settings are read and whose controller's dry runs are answered")
	flags.StringVar(&o.bind, "bind-address", ":8443", "`address` to serve admission reviews at")
	flags.StringVar(&o.health, "health-bind-address", ":8081", "`address` to serve /healthz and /readyz at; 0 for none")
	flags.StringVar(&o.metrics, "metrics-bind-address", ":8080", "`address` to serve /metrics at; 0 for none")
	flags.DurationVar(&o.drain, "drain", 15*time.Second,
		"how long to go on serving after the first signal, at most: the server ends once no request has come for five seconds")
	flags.DurationVar(&o.recheck, "recheck", time.Minute,
		"how often the webhook configurations and the CA's Secret are looked at")
	flags.DurationVar(&o.overlap, "ca-overlap", 5*time.Minute,
		"how long a new CA is in the webhook configurations before it signs")
	command.SetArgs(args)
	command.SetOut(out)
	command.SetErr(errOut)
	return command.ExecuteContext(ctx)
}
