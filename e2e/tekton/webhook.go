// Package tekton runs Tekton's own admission webhooks beside a cluster's API
// server, so that tests see what Tekton makes of an object, and not what we
// think it would.
//
// Nothing of theirs is imitated. The program is built from Tekton's module with
// Tekton's dependencies, its objects and its environment are those of the
// embedded release, and it registers itself, with its rules and its CA, as it
// does in a cluster. One thing alone differs: there are no Pods here, so its
// Service is an ExternalName that leads to loopback, and the port is the one
// that the process listens on. An API server follows such a Service to admission
// and conversion webhooks as it follows any other, and the certificate is still
// checked for the Service's name.
//
//	c := cluster.StartEmpty(t)
//	tekton.Start(t, c, tekton.Options{})
//
// now every TaskRun is defaulted, validated and converted by Pipelines.
// API servers call mutating webhooks in the order of their configurations'
// names, so this one, webhook.pipeline.tekton.dev, comes after
// mutate.tekgate.dev. For the other order it takes another name:
//
//	w := tekton.Start(t, c, tekton.Options{Name: "aa.webhook.pipeline.tekton.dev"})
//	w.Configure(t, "config-defaults", map[string]string{"default-service-account": "ci"})
package tekton

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/manifests"
)

// The releases whose webhooks can be run, by their names in package manifests.
const (
	Pipeline = "pipeline"
	Triggers = "triggers"
)

// namespace is where both releases live.
const namespace = "tekton-pipelines"

// part is what has to be known of a release's webhook.
type part struct {
	// service is the name of its Service and of its Deployment.
	service string
	// component is what the process calls itself in leases and log levels.
	component string
	// name is that of its MutatingWebhookConfiguration, and the end of the
	// names of its ValidatingWebhookConfigurations.
	name string
}

var parts = map[string]part{
	Pipeline: {
		service:   "tekton-pipelines-webhook",
		component: "tekton-pipelines-webhook",
		name:      "webhook.pipeline.tekton.dev",
	},
	Triggers: {
		service:   "tekton-triggers-webhook",
		component: "webhook-triggers",
		name:      "webhook.triggers.tekton.dev",
	},
}

// Options say which webhook is run, and how it is called.
type Options struct {
	// Release is Pipeline, the default, or Triggers.
	Release string
	// Name is that of its MutatingWebhookConfiguration, three labels at least;
	// empty is Tekton's own. The webhook of Triggers can have no other.
	Name string
}

// Webhook is one of Tekton's webhooks, running and registered.
type Webhook struct {
	part
	// Name is that of its MutatingWebhookConfiguration. The names of its two
	// ValidatingWebhookConfigurations are "validation." and "config." and Name.
	Name string

	release string
	client  client.Client
	// port is where it listens.
	port int
	// env is its environment, by name.
	env     map[string]string
	cmd     *exec.Cmd
	exited  chan error
	log     *child.Log
	stopped bool
}

// Start is New for one test, which stops the webhook at its end.
func Start(t testing.TB, c *cluster.Cluster, o Options) *Webhook {
	t.Helper()
	w, err := New(t.Context(), c, o, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return w
}

// New creates what a release's webhook needs and the cluster does not have yet
// (namespaces, CRDs, ConfigMaps, the Secret), runs the webhook, and returns when
// the API server asks it. What is there, such as all of an installation by
// tekgate, stays as it is but for the webhook's Service, the configurations and
// the CRDs' conversion. talk hears about slow steps. The caller stops it.
//
// One webhook of a release runs in a cluster at a time, under one name.
func New(ctx context.Context, c *cluster.Cluster, o Options, talk io.Writer) (*Webhook, error) {
	w, err := prepare(c, o)
	if err != nil {
		return nil, err
	}
	rel, err := manifests.Tekton(w.release)
	if err != nil {
		return nil, err
	}
	programs, err := binaries(ctx, w.release, talk)
	if err != nil {
		return nil, err
	}
	if w.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	if err := w.install(ctx, rel.Objects); err != nil {
		return nil, fmt.Errorf("installing Tekton's %s webhook: %w", w.release, err)
	}
	if err := w.run(ctx, filepath.Join(programs, "webhook"), c.Kubeconfig, rel.Objects); err != nil {
		return nil, err
	}
	if err := w.wait(ctx); err != nil {
		return nil, errors.Join(err, w.Stop(ctx))
	}
	return w, nil
}

func prepare(c *cluster.Cluster, o Options) (*Webhook, error) {
	if c.Existing() {
		return nil, errors.New("a cluster that is in use keeps its own webhook: this one would take its place (start one with cluster.StartEmpty)")
	}
	w := &Webhook{release: o.Release, Name: o.Name, log: &child.Log{}, exited: make(chan error, 1)}
	if w.release == "" {
		w.release = Pipeline
	}
	known := false
	if w.part, known = parts[w.release]; !known {
		return nil, fmt.Errorf("release %q has no webhook: choose %q or %q", w.release, Pipeline, Triggers)
	}
	if w.Name == "" {
		w.Name = w.name
	}
	if w.release == Triggers && w.Name != w.name {
		return nil, fmt.Errorf("the webhook of Triggers cannot be called %s: its program knows no name but %s", w.Name, w.name)
	}
	config := rest.CopyConfig(c.Config)
	config.QPS = -1 // a release is some dozens of objects
	var err error
	w.client, err = client.New(config, client.Options{Scheme: runtime.NewScheme()})
	return w, err
}

// run starts the process with the environment of the release's Deployment.
func (w *Webhook) run(ctx context.Context, program, kubeconfig string, objects []*unstructured.Unstructured) error {
	env, err := environment(objects, w.service)
	if err != nil {
		return err
	}
	env["WEBHOOK_PORT"] = strconv.Itoa(w.port)
	env["WEBHOOK_ADMISSION_CONTROLLER_NAME"] = w.Name
	env["METRICS_PROMETHEUS_HOST"] = "127.0.0.1"
	// Its other port, 8080 for probes, is fixed. Where somebody else listens
	// there, it does without.
	for _, name := range []string{"PROBES_PORT", "PROFILING_PORT", "METRICS_PROMETHEUS_PORT"} {
		port, err := freePort(ctx)
		if err != nil {
			return err
		}
		env[name] = strconv.Itoa(port)
	}
	w.env = env
	w.cmd = exec.CommandContext(context.WithoutCancel(ctx), program, "--kubeconfig", kubeconfig)
	w.cmd.Stdout, w.cmd.Stderr = w.log, w.log
	w.cmd.Env = []string{} // nil would be ours
	for name, value := range env {
		w.cmd.Env = append(w.cmd.Env, name+"="+value)
	}
	if err := w.cmd.Start(); err != nil {
		return fmt.Errorf("starting Tekton's %s webhook: %w", w.release, err)
	}
	go func() { w.exited <- w.cmd.Wait() }()
	return nil
}

// environment returns the variables of a Deployment's first container. The
// namespace is the only one that is no literal.
func environment(objects []*unstructured.Unstructured, deployment string) (map[string]string, error) {
	for _, obj := range objects {
		if obj.GetKind() != "Deployment" || obj.GetName() != deployment {
			continue
		}
		containers, _, err := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
		if err != nil || len(containers) == 0 {
			return nil, fmt.Errorf("the release's Deployment %s has no container", deployment)
		}
		container, _ := containers[0].(map[string]any)
		variables, _, _ := unstructured.NestedSlice(container, "env")
		env := map[string]string{"SYSTEM_NAMESPACE": namespace}
		for _, v := range variables {
			variable, _ := v.(map[string]any)
			if value, literal := variable["value"].(string); literal {
				env[fmt.Sprint(variable["name"])] = value
			}
		}
		return env, nil
	}
	return nil, fmt.Errorf("the release has no Deployment %s", deployment)
}

// Stop unregisters the webhook and ends its process. Objects that are stored
// already stay; in versions other than the stored one they cannot be read any
// more, until a webhook runs again. Stopping twice is stopping once.
func (w *Webhook) Stop(ctx context.Context) error {
	if w.stopped {
		return nil
	}
	w.stopped = true
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := w.unregister(ctx)
	if died := w.died(); died != nil {
		return errors.Join(err, died)
	}
	// Asked kindly it would serve on for 45 s, and there is nobody to serve.
	if killed := w.cmd.Process.Kill(); killed != nil {
		return errors.Join(err, fmt.Errorf("ending Tekton's %s webhook: %w", w.release, killed))
	}
	<-w.exited
	return errors.Join(err, w.dropLeases(ctx))
}

// died returns an error when the process has ended by itself.
func (w *Webhook) died() error {
	select {
	case err := <-w.exited:
		w.exited <- err
		return fmt.Errorf("the %s webhook of Tekton ended by itself: %w; its log:\n%s", w.release, err, w.log)
	default:
		return nil
	}
}

// Log returns what the process has said so far.
func (w *Webhook) Log() string { return w.log.String() }

// freePort returns a port of child.FreeAddress.
func freePort(ctx context.Context) (int, error) {
	address, err := child.FreeAddress(ctx)
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
