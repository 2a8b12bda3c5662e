package credentials

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/internal/credentials"
	"github.com/tekgate/tekgate/internal/credentials/clients"
	"github.com/tekgate/tekgate/internal/kube"
)

// explaining is what the command line of explain selects.
type explaining struct {
	kube      kubeflags.Flags
	output    cli.Output
	namespace string
	secret    string
	config    string
	image     string
}

func explainCommand() *cobra.Command {
	var e explaining
	cmd := &cobra.Command{
		Use:   "explain {--secret NAME | --docker-config FILE} --image IMAGE",
		Short: "Show which credentials each client sends for an image",
		Long: `Show which entry of a Secret the kubelet, Tekton's controller and the clients in
steps send for an image, and why where that is surprising. Clients read one file
differently: keys with a path, spellings of Docker Hub, entries without auth.

The kubelet and Tekton's controller read a Secret that a ServiceAccount or Pod lists
under imagePullSecrets; steps read one that the run's ServiceAccount lists under
secrets. With --docker-config the file is explained as if it were the Secret.

Keys and user names are printed, passwords and tokens never. No registry is asked.`,
		Example: `  tekgate credentials explain --secret harbor -n ci --image harbor.example.com/team/app:v1

  tekgate credentials explain --docker-config ~/.docker/config.json --image alpine:3 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.run(cmd.Context(), cli.StreamsOf(cmd))
		},
	}
	e.kube.Add(cmd)
	e.output.Value(cmd, "table")
	f := cmd.Flags()
	f.StringVarP(&e.namespace, "namespace", "n", "default", "`NAMESPACE` of the Secret")
	f.StringVar(&e.secret, "secret", "", "`NAME` of the Secret")
	f.StringVar(&e.config, "docker-config", "", "`FILE` in place of a Secret, or - for standard input")
	f.StringVar(&e.image, "image", "", "`IMAGE` that is pulled or pushed")
	return cmd
}

// explanation is what explain prints.
type explanation struct {
	Image   string                `json:"image"`
	Source  string                `json:"source"`
	Clients []clients.Explanation `json:"clients"`
}

func (e *explaining) run(ctx context.Context, streams cli.Streams) error {
	switch {
	case (e.secret == "") == (e.config == ""):
		return errors.New("pass either --secret or --docker-config")
	case e.image == "":
		return errors.New("no image: pass --image")
	}
	if err := e.output.Check(); err != nil {
		return err
	}
	image, err := clients.ParseImage(e.image)
	if err != nil {
		return fmt.Errorf("parsing --image %q: %w", e.image, err)
	}
	source, name, err := e.source(ctx, streams)
	if err != nil {
		return err
	}
	result := explanation{Image: e.image, Source: name, Clients: clients.Explain(source, image)}
	return e.output.Print(streams.Out, result, result.print)
}

// source reads what is explained, and returns its name.
func (e *explaining) source(ctx context.Context, streams cli.Streams) (clients.Source, string, error) {
	if e.config != "" {
		text, err := streams.ReadFile("the Docker configuration", e.config)
		if err != nil {
			return clients.Source{}, "", err
		}
		source, warnings, err := credentials.FileSource(text)
		warn(streams, warnings)
		return source, e.config, err
	}
	c, err := e.kube.Client()
	if err != nil {
		return clients.Source{}, "", err
	}
	name := "Secret " + e.namespace + "/" + e.secret
	kind := schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	secret, err := kube.NewReader(c).Get(ctx, kind, e.namespace, e.secret)
	switch {
	case err != nil:
		return clients.Source{}, "", err
	case secret == nil:
		return clients.Source{}, "",
			fmt.Errorf("reading %s: it does not exist: name another with --secret and -n", name)
	}
	source, err := credentials.Source(secret)
	return source, name, err
}

// print writes a line per client, and each reason once below them.
func (e explanation) print(out io.Writer) error {
	fmt.Fprintf(out, "%s with %s\n", e.Image, e.Source)
	var reasons []string
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, client := range e.Clients {
		mark := ""
		if reason := reason(client); reason != "" {
			if !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
			mark = fmt.Sprintf(" [%d]", slices.Index(reasons, reason)+1)
		}
		fmt.Fprintf(table, "  %s\t%s%s\n", client.Client, client, mark)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i, reason := range reasons {
		fmt.Fprintf(out, "[%d] %s\n", i+1, reason)
	}
	return nil
}

func reason(e clients.Explanation) string {
	if e.Remedy == "" || e.Why == "" {
		return e.Why
	}
	return e.Why + ". Remedy: " + e.Remedy
}
