// Package version reports the versions of the client, the servers, Tekton and Kubernetes, and which
// of them do not fit together.
package version

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/manifests"
)

// Command returns the command. now returns the time that ends of support are compared with.
func Command(now func() time.Time) *cobra.Command {
	var (
		k          kubeflags.Flags
		output     cli.Output
		clientOnly bool
	)
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the client, the servers, Tekton and Kubernetes",
		Long: `Print the version of this program, of Tekgate's servers in the cluster, of the
components of Tekton and of Kubernetes, and warn where they do not fit together.

What you may not read is named and left out. If no cluster answers, the version of this
program is printed, and the exit status is 1; --client does not ask the cluster. The
release lines of Tekton that can be installed are listed by ` + "`tekgate versions`" + `.`,
		Example: `  tekgate version
  tekgate version --client -o jsonpath='{.client.version}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			r := &report{Client: thisProgram(), Warnings: []string{}}
			var failed error
			if !clientOnly {
				if r.Cluster, failed = ask(cmd.Context(), &k); failed != nil {
					r.Error = failed.Error()
				} else {
					r.Warnings = append(r.Warnings, skew(r.Client.Version, r.Cluster, now())...)
				}
			}
			if err := output.Print(cmd.OutOrStdout(), r, r.print); err != nil {
				return err
			}
			if failed != nil {
				return fmt.Errorf("reading the cluster's versions: %w; --client leaves the cluster out", failed)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&clientOnly, "client", false, "print the version of this program alone")
	k.Add(cmd)
	output.Value(cmd, "table")
	return cmd
}

// report is what the command prints.
type report struct {
	Client client `json:"client"`
	// Cluster is nil if it was not asked, or did not answer.
	Cluster  *cluster `json:"cluster,omitempty"`
	Warnings []string `json:"warnings"`
	Error    string   `json:"error,omitempty"` // why there is no cluster
}

// client is this program.
type client struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// Pipeline and Triggers are what it installs unless told otherwise.
	Pipeline string `json:"pipeline"`
	Triggers string `json:"triggers"`
}

// cluster is what runs there.
type cluster struct {
	Kubernetes string   `json:"kubernetes"`
	Servers    []server `json:"servers"`
	// Tekton are Tekton's components, by what their Deployments or Tekgate's inventory say.
	Tekton []component `json:"tekton"`
	// Unread is what may not be read, a sentence each.
	Unread []string `json:"unread,omitempty"`

	running  installer.Versions           // what runs, as far as it is known
	recorded installer.Versions           // what the inventory says; zero if there is none
	found    []*unstructured.Unstructured // Deployments of Tekton
}

// server is one of Tekgate's.
type server struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Ready   int64  `json:"ready"`
	Desired int64  `json:"desired"`
}

type component struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func thisProgram() client {
	newest := release.Newest()
	return client{
		Version: manifests.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Pipeline: newest.Pipeline, Triggers: newest.Triggers,
	}
}

// ask reads the versions of a cluster. What may not be read is noted.
func ask(ctx context.Context, k *kubeflags.Flags) (*cluster, error) {
	reader, err := k.Live()
	if err != nil {
		return nil, err
	}
	info, err := reader.Version()
	if err != nil {
		return nil, err
	}
	c := &cluster{Kubernetes: info.GitVersion, Servers: []server{}, Tekton: []component{}}
	if err := c.readServers(ctx, reader); err != nil {
		return nil, err
	}
	return c, c.readTekton(ctx, reader)
}

func (c *cluster) readServers(ctx context.Context, reader *live.Cluster) error {
	for _, name := range []string{wellknown.Webhook, wellknown.Interceptor} {
		deployment, err := c.deployment(ctx, reader, live.Tekgate, name)
		if err != nil {
			return err
		}
		if deployment == nil {
			continue
		}
		labels, _, err := unstructured.NestedStringMap(deployment.Object, "spec", "template", "metadata", "labels")
		if err != nil {
			return fmt.Errorf("reading the version of Deployment %s/%s: %w", live.Tekgate, name, err)
		}
		ready, desired := live.Replicas(deployment)
		c.Servers = append(c.Servers, server{name, labels["app.kubernetes.io/version"], ready, desired})
	}
	return nil
}

// readTekton reads the components. Deployments say what runs, and the inventory what else was
// installed.
func (c *cluster) readTekton(ctx context.Context, reader *live.Cluster) error {
	inventory, err := installer.ReadInventory(ctx, reader.Client())
	switch {
	case apierrors.IsForbidden(err):
		c.Unread = append(c.Unread, "you may not read the inventory, so components beside Pipelines and Triggers are missing")
	case err != nil:
		return err
	case inventory != nil:
		c.recorded, c.running = inventory.Versions, inventory.Versions
	}
	for _, name := range []string{"tekton-pipelines-controller", "tekton-triggers-controller"} {
		deployment, err := c.deployment(ctx, reader, live.Pipelines, name)
		if err != nil {
			return err
		}
		if deployment != nil {
			c.found = append(c.found, deployment)
		}
	}
	seen := installer.InstalledVersions(c.found)
	if seen.Pipeline != "" {
		c.running.Pipeline = seen.Pipeline
	}
	if seen.Triggers != "" {
		c.running.Triggers = seen.Triggers
	}
	tekton := c.running
	tekton.Tekgate = ""
	for _, row := range tekton.Rows() {
		if row[1] != "" {
			c.Tekton = append(c.Tekton, component{row[0], row[1]})
		}
	}
	return nil
}

// deployment returns a Deployment, or nil if it does not exist or may not be read.
func (c *cluster) deployment(ctx context.Context, reader *live.Cluster, namespace, name string) (
	*unstructured.Unstructured, error) {
	deployment, err := reader.Get(ctx, live.Deployment, namespace, name)
	if apierrors.IsForbidden(err) {
		c.Unread = append(c.Unread, fmt.Sprintf("you may not read Deployment %s/%s", namespace, name))
		return nil, nil
	}
	return deployment, err
}

func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "COMPONENT\tVERSION\tNOTE\n")
	fmt.Fprintf(w, "tekgate\t%s\t%s, %s\n", r.Client.Version, r.Client.Go, r.Client.Platform)
	if c := r.Cluster; c != nil {
		for _, s := range c.Servers {
			fmt.Fprintf(w, "%s\t%s\t%d of %d ready\n", s.Name, cli.OrDash(s.Version), s.Ready, s.Desired)
		}
		if len(c.Servers) == 0 && len(c.Unread) == 0 {
			fmt.Fprintf(w, "Tekgate's servers\t-\tnot installed\n")
		}
		for _, t := range c.Tekton {
			fmt.Fprintf(w, "%s\t%s\t-\n", t.Name, t.Version)
		}
		if len(c.Tekton) == 0 && len(c.Unread) == 0 {
			fmt.Fprintf(w, "Tekton\t-\tnot installed\n")
		}
		fmt.Fprintf(w, "Kubernetes\t%s\t-\n", c.Kubernetes)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(out, "warning: %s\n", warning)
	}
	if r.Cluster != nil {
		for _, unread := range r.Cluster.Unread {
			fmt.Fprintf(out, "note: %s\n", unread)
		}
	}
	return nil
}
