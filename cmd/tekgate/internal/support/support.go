// Package support collects everything that is needed to diagnose a problem.
package support

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/health"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/display"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/manifests"
)

// Command returns the command.
func Command() *cobra.Command {
	var c collection
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Collect what it takes to find out what is wrong",
		Long: `Write what somebody needs who is to find out what is wrong: the answers of
` + "`tekgate check`" + ` and ` + "`tekgate status`" + `, the objects of Tekton's and Tekgate's own
namespaces and of those that --namespace names, their events, the logs of their Pods,
and the registrations of all webhooks.

No Secret is read. Values of environment variables whose names say that they are
secret are left out, and so is what kubectl remembers of objects. Params of runs and
logs are as they are: look through the bundle before you hand it out.

What cannot be read is listed in errors.txt, with the reason.`,
		Example: `  # with the namespace in which a run fails
  tekgate support-bundle -n ci

  # into a folder
  tekgate support-bundle -n ci -o bundle/`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), cli.StreamsOf(cmd)) },
	}
	c.kube.Add(cmd)
	f := cmd.Flags()
	f.StringSliceVarP(&c.namespaces, "namespace", "n", nil,
		"`NAMESPACE` to collect from besides Tekton's and Tekgate's (repeatable)")
	f.BoolVarP(&c.all, "all-namespaces", "A", false, "collect from all namespaces")
	f.StringVarP(&c.output, "output", "o", "",
		"`PATH` of a file that ends in .tar.gz, or of a folder (default: tekgate-support-TIME.tar.gz)")
	return cmd
}

// collection has the flags of a bundle.
type collection struct {
	kube       kubeflags.Flags
	namespaces []string
	all        bool
	output     string
}

func (c *collection) run(ctx context.Context, s cli.Streams) error {
	output := c.output
	if output == "" {
		output = "tekgate-support-" + time.Now().UTC().Format("20060102-150405") + ".tar.gz"
	}
	b, err := newBundle(&c.kube)
	if err != nil {
		return err
	}
	if err := b.exist(ctx, c.namespaces); err != nil {
		return err
	}
	namespaces := c.namespaces
	if c.all {
		namespaces = b.everyNamespace(ctx)
	}
	if b.out, err = openBundle(output); err != nil {
		return err
	}
	err = b.collect(ctx, slices.Concat(ownNamespaces, namespaces))
	if err := errors.Join(err, b.out.close()); err != nil {
		return err
	}
	fmt.Fprintf(s.ErrOut, "%d files are in %s; look through them before you hand them out\n", b.files, output)
	if len(b.problems) > 0 {
		fmt.Fprintf(s.ErrOut, "%d things could not be read: errors.txt says which, and why\n", len(b.problems))
	}
	return nil
}

// ownNamespaces are those of Tekton and Tekgate.
var ownNamespaces = slices.Concat([]string{
	wellknown.TekgateNamespace, wellknown.PipelinesNamespace, wellknown.ResolversNamespace,
}, live.ComponentNamespaces)

// bundledKinds are read in each namespace, and those without one once, in the version
// that the server prefers: old releases of Tekton serve other versions, and other kinds.
// Secrets are not among them.
var bundledKinds = []schema.GroupKind{
	{Kind: "Namespace"}, {Kind: "Node"},
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
	{Group: "triggers.tekton.dev", Kind: "ClusterInterceptor"},
	{Group: "triggers.tekton.dev", Kind: "ClusterTriggerBinding"},
	{Group: "tekton.dev", Kind: "ClusterTask"},

	{Kind: "Pod"}, {Kind: "Event"}, {Kind: "Service"}, {Kind: "ServiceAccount"},
	{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "ReplicaSet"},
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}, {Group: "networking.k8s.io", Kind: "NetworkPolicy"},
	{Group: "coordination.k8s.io", Kind: "Lease"},
	{Group: "cert-manager.io", Kind: "Certificate"},
	{Group: "tekton.dev", Kind: "Task"}, {Group: "tekton.dev", Kind: "TaskRun"},
	{Group: "tekton.dev", Kind: "Pipeline"}, {Group: "tekton.dev", Kind: "PipelineRun"},
	{Group: "tekton.dev", Kind: "StepAction"}, {Group: "tekton.dev", Kind: "CustomRun"},
	{Group: "tekton.dev", Kind: "PipelineResource"},
	{Group: "resolution.tekton.dev", Kind: "ResolutionRequest"},
	{Group: "triggers.tekton.dev", Kind: "EventListener"}, {Group: "triggers.tekton.dev", Kind: "Trigger"},
	{Group: "triggers.tekton.dev", Kind: "Interceptor"},
	{Group: "triggers.tekton.dev", Kind: "TriggerBinding"}, {Group: "triggers.tekton.dev", Kind: "TriggerTemplate"},
}

// bundle is one that is being written.
type bundle struct {
	cluster  *live.Cluster
	client   client.Client
	pods     kubernetes.Interface
	out      bundleWriter
	files    int
	problems []string
}

func newBundle(k *kubeflags.Flags) (*bundle, error) {
	config, err := k.RESTConfig()
	if err != nil {
		return nil, err
	}
	b := &bundle{}
	if b.cluster, err = live.Connect(config); err != nil {
		return nil, err
	}
	if b.client, err = kube.Client(config, corev1.AddToScheme); err != nil {
		return nil, err
	}
	if b.pods, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connecting to the cluster at %s: %w", config.Host, err)
	}
	return b, nil
}

// exist refuses a namespace that is not there: the bundle would lack what it is for.
func (b *bundle) exist(ctx context.Context, namespaces []string) error {
	for _, name := range namespaces {
		err := b.client.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{})
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("collecting from namespace %q: there is no such namespace", name)
		}
	}
	return nil
}

// everyNamespace returns the names of all.
func (b *bundle) everyNamespace(ctx context.Context) []string {
	list := &corev1.NamespaceList{}
	if err := b.client.List(ctx, list); err != nil {
		b.lacks("the list of namespaces", err)
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

// collect writes everything. What cannot be read is noted; an error is one of writing, or
// of a cluster that answers nothing.
func (b *bundle) collect(ctx context.Context, namespaces []string) error {
	slices.Sort(namespaces)
	namespaces = slices.Compact(namespaces)
	version, err := b.pods.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("asking the cluster for its version: %w", err)
	}
	if err := b.add("versions.txt",
		[]byte("tekgate "+manifests.Version+"\nKubernetes "+version.GitVersion+"\n")); err != nil {
		return err
	}
	if err := b.answers(ctx); err != nil {
		return err
	}
	for _, wanted := range bundledKinds {
		mapping, err := b.client.RESTMapper().RESTMapping(wanted)
		if meta.IsNoMatchError(err) {
			continue // not served here
		}
		if err != nil {
			b.lacks(wanted.Kind, err)
			continue
		}
		kind := mapping.GroupVersionKind
		if mapping.Scope.Name() == meta.RESTScopeNameRoot {
			err = b.objects(ctx, kind, "", "cluster")
		} else {
			for _, namespace := range namespaces {
				err = errors.Join(err, b.objects(ctx, kind, namespace, path.Join("namespaces", namespace)))
			}
		}
		if err != nil {
			return err
		}
	}
	// ConfigMaps of others may hold anything.
	for _, namespace := range ownNamespaces {
		if err := b.objects(ctx, live.ConfigMap, namespace, path.Join("namespaces", namespace)); err != nil {
			return err
		}
	}
	for _, namespace := range namespaces {
		if err := b.logs(ctx, namespace); err != nil {
			return err
		}
	}
	if len(b.problems) == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	return b.add("errors.txt", []byte(strings.Join(b.problems, "\n")+"\n"))
}

// answers writes what check and status say.
func (b *bundle) answers(ctx context.Context) error {
	checks, status := &strings.Builder{}, &strings.Builder{}
	report, err := health.Checks{}.Run(ctx, b.cluster)
	if err == nil {
		err = display.JSON(checks, report)
	}
	if err != nil {
		b.lacks("the answers of tekgate check", err)
	}
	s, err := health.Status(ctx, b.cluster)
	if err == nil {
		err = display.JSON(status, s)
	}
	if err != nil {
		b.lacks("what is installed", err)
	}
	return errors.Join(b.add("check.json", []byte(checks.String())), b.add("status.json", []byte(status.String())))
}

// objects writes those of a kind, in one namespace or of none.
func (b *bundle) objects(ctx context.Context, kind schema.GroupVersionKind, namespace, folder string) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := b.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		b.lacks(kind.Kind+"s"+cli.InNamespace(namespace), err)
		return nil
	}
	if len(list.Items) == 0 {
		return nil
	}
	var text strings.Builder
	for i := range list.Items {
		cleanForBundle(&list.Items[i])
		object, err := yaml.Marshal(list.Items[i].Object)
		if err != nil {
			return fmt.Errorf("writing %s %s: %w", kind.Kind, list.Items[i].GetName(), err)
		}
		text.WriteString("---\n" + string(object))
	}
	return b.add(path.Join(folder, strings.ToLower(kind.Kind)+"s.yaml"), []byte(text.String()))
}

// longestLog is what is read of one container's log: its end.
const longestLog = 20_000 // lines

// logs writes those of the Pods of a namespace, also of containers that were restarted.
func (b *bundle) logs(ctx context.Context, namespace string) error {
	pods := &corev1.PodList{}
	if err := b.client.List(ctx, pods, client.InNamespace(namespace)); err != nil {
		return nil //nolint:nilerr // noted where the Pods are written
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if status.State.Waiting != nil && status.RestartCount == 0 {
				continue // it has not run
			}
			if err := b.log(ctx, pod, status.Name, false); err != nil {
				return err
			}
			if status.RestartCount > 0 {
				if err := b.log(ctx, pod, status.Name, true); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bundle) log(ctx context.Context, pod *corev1.Pod, container string, previous bool) error {
	lines := int64(longestLog)
	text, err := b.pods.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, Timestamps: true, TailLines: &lines,
	}).DoRaw(ctx)
	if err != nil {
		b.lacks(fmt.Sprintf("the log of container %s of Pod %s in namespace %s", container, pod.Name, pod.Namespace),
			err)
		return nil
	}
	name := container + ".log"
	if previous {
		name = container + ".previous.log"
	}
	return b.add(path.Join("namespaces", pod.Namespace, "logs", pod.Name, name), text)
}

func (b *bundle) lacks(what string, err error) {
	b.problems = append(b.problems, fmt.Sprintf("%s: %v", what, err))
}

func (b *bundle) add(name string, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	b.files++
	return b.out.add(name, text)
}
