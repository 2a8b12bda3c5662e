// Package installed says what is installed: which versions, from where, and how much
// of it is up.
//
// It reports and does not judge, which is for the health checks; but an install
// that was interrupted is told from one that ended, since what to do next differs.
package installed

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/object"
)

// Status is what is installed. Lists are never nil, for machines.
type Status struct {
	// State is absent, complete, interrupted, or unknown where objects are there
	// and no inventory says whether they are all.
	State string `json:"state"`
	// Earlier says that the cluster records a release that a rollback returns to.
	Earlier bool `json:"earlier"`
	// Terminating are Tekton's and Tekgate's namespaces that are being deleted, each with what
	// it waits for.
	Terminating []string `json:"terminating"`
	// Missing are objects of an interrupted install that are not there.
	Missing             []string           `json:"missing"`
	Versions            installer.Versions `json:"versions"`
	Mirrors             []Mirror           `json:"mirrors"`
	Deployments         []Deployment       `json:"deployments"`
	Webhooks            []Webhook          `json:"webhooks"`
	EventListeners      []EventListener    `json:"eventListeners"`
	ClusterInterceptors []Interceptor      `json:"clusterInterceptors"`
}

// What Status.State may say.
const (
	Absent      = "absent"
	Complete    = "complete"
	Interrupted = "interrupted"
	Unknown     = "unknown"
)

// Mirror is a registry that images come from.
type Mirror struct {
	Host   string `json:"host"`
	Images int    `json:"images"`
}

// Deployment is one of Tekton's or Tekgate's.
type Deployment struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`
	Ready     int64  `json:"ready"`
	Desired   int64  `json:"desired"`
}

// Webhook is one webhook of a configuration.
type Webhook struct {
	Configuration string `json:"configuration"`
	Name          string `json:"name"`
	FailurePolicy string `json:"failurePolicy"`
	CABundle      bool   `json:"caBundle"`
	Rules         int    `json:"rules"`
}

// EventListener is the Deployment of one.
type EventListener struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Image     string `json:"image"`
	// Current says that the image is the one that Triggers gives out now.
	Current bool  `json:"current"`
	Ready   int64 `json:"ready"`
	Desired int64 `json:"desired"`
}

// Interceptor is a ClusterInterceptor.
type Interceptor struct {
	Name     string `json:"name"`
	TLS      bool   `json:"tls"`
	CABundle bool   `json:"caBundle"`
}

// Read asks a cluster. inventory is nil where it has none.
func Read(ctx context.Context, cluster *live.Cluster, inventory *installer.Inventory) (*Status, error) {
	s := &Status{
		State:               Absent,
		Earlier:             inventory.Earlier() != nil,
		Terminating:         []string{},
		Missing:             []string{},
		Mirrors:             []Mirror{},
		Deployments:         []Deployment{},
		Webhooks:            []Webhook{},
		EventListeners:      []EventListener{},
		ClusterInterceptors: []Interceptor{},
	}
	r := reader{Cluster: cluster, Status: s}
	for _, read := range []func(context.Context) error{r.deployments, r.webhooks, r.listeners, r.interceptors,
		r.terminating} {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case inventory == nil && len(s.Deployments)+len(s.Webhooks) > 0:
		s.State = Unknown
	case inventory != nil && inventory.Complete:
		s.State = Complete
	case inventory != nil:
		s.State = Interrupted
		if err := r.missing(ctx, inventory); err != nil {
			return nil, err
		}
	}
	if inventory != nil && !inventory.Versions.IsZero() {
		s.Versions = inventory.Versions
	}
	return s, nil
}

type reader struct {
	*live.Cluster
	*Status
}

func (r reader) deployments(ctx context.Context) error {
	all, err := r.In(ctx, live.Deployment, slices.Concat(live.Namespaces, live.ComponentNamespaces)...)
	if err != nil {
		return err
	}
	hosts := map[string]map[string]bool{}
	for _, d := range all {
		part := d.GetLabels()["app.kubernetes.io/part-of"]
		gate := strings.HasPrefix(d.GetName(), "manual-approval-gate-")
		if part != "tekgate" && !strings.HasPrefix(part, "tekton-") && !gate {
			continue
		}
		ready, desired := live.Replicas(d)
		version := versionOf(d)
		r.Deployments = append(r.Deployments, Deployment{d.GetNamespace(), d.GetName(), version, ready, desired})
		r.version(part, version)
		for _, field := range object.Images(d.Object) {
			if ref, err := image.Parse(field.Value); err == nil {
				add(hosts, ref.Host, ref.String())
			}
		}
	}
	for host, images := range hosts {
		r.Mirrors = append(r.Mirrors, Mirror{host, len(images)})
	}
	slices.SortFunc(r.Mirrors, func(a, b Mirror) int { return strings.Compare(a.Host, b.Host) })
	return nil
}

func add(sets map[string]map[string]bool, key, member string) {
	if sets[key] == nil {
		sets[key] = map[string]bool{}
	}
	sets[key][member] = true
}

// versionOf is what the labels of a Deployment's Pods say, which an upgrade
// changes together with their images.
func versionOf(deployment *unstructured.Unstructured) string {
	labels, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "template", "metadata", "labels")
	return labels["app.kubernetes.io/version"]
}

// version notes a component's version where no inventory is to say it.
func (r reader) version(part, version string) {
	switch part {
	case "tekton-pipelines":
		r.Versions.Pipeline = version
	case "tekton-triggers":
		r.Versions.Triggers = version
	case "tekgate":
		r.Versions.Tekgate = version
	}
}

func (r reader) webhooks(ctx context.Context) error {
	for _, kind := range []schema.GroupVersionKind{live.Mutating, live.Validating} {
		all, err := r.List(ctx, kind)
		if err != nil {
			return err
		}
		for _, configuration := range all {
			if !strings.HasSuffix(configuration.GetName(), ".tekton.dev") &&
				!strings.HasSuffix(configuration.GetName(), ".tekgate.dev") &&
				!strings.HasSuffix(configuration.GetName(), ".openshift-pipelines.org") {
				continue
			}
			for _, w := range live.Maps(configuration.Object, "webhooks") {
				name, _ := w["name"].(string)
				policy, _ := w["failurePolicy"].(string)
				bundle := live.Text(w, "clientConfig", "caBundle")
				r.Webhooks = append(
					r.Webhooks,
					Webhook{kube.Name(configuration), name, policy, bundle != "", len(live.Maps(w, "rules"))},
				)
			}
		}
	}
	return nil
}

func (r reader) listeners(ctx context.Context) error {
	current, err := r.SinkImage(ctx)
	if err != nil {
		return err
	}
	all, err := r.Cluster.EventListeners(ctx)
	if err != nil {
		return err
	}
	for _, d := range all {
		ready, desired := live.Replicas(d)
		listener := EventListener{
			Namespace: d.GetNamespace(),
			Name:      d.GetLabels()["eventlistener"],
			Ready:     ready,
			Desired:   desired,
		}
		for _, container := range live.Containers(d) {
			if container["name"] == "event-listener" {
				listener.Image, _ = container["image"].(string)
			}
		}
		listener.Current = current != "" && listener.Image == current
		r.Status.EventListeners = append(r.Status.EventListeners, listener)
	}
	return nil
}

func (r reader) interceptors(ctx context.Context) error {
	all, err := r.List(ctx, live.ClusterInterceptor)
	if err != nil {
		return err
	}
	for _, ci := range all {
		bundle := live.Text(ci.Object, "spec", "clientConfig", "caBundle")
		r.ClusterInterceptors = append(
			r.ClusterInterceptors,
			Interceptor{ci.GetName(), ci.GetLabels()["server/type"] == "https", bundle != ""},
		)
	}
	return nil
}

// terminating notes the namespaces that are being deleted. A user who may not read them is not
// kept from the rest.
func (r reader) terminating(ctx context.Context) error {
	var found []*unstructured.Unstructured
	for _, name := range slices.Concat(live.Namespaces, live.ComponentNamespaces) {
		namespace, err := r.Get(ctx, live.Namespace, "", name)
		if err != nil && !apierrors.IsForbidden(err) {
			return err
		}
		found = append(found, namespace)
	}
	r.Terminating = append(r.Terminating, installer.Terminating(found)...)
	return nil
}

func (r reader) missing(ctx context.Context, inventory *installer.Inventory) error {
	for _, obj := range inventory.All() {
		found, err := r.Get(ctx, obj.GroupVersionKind(), obj.GetNamespace(), obj.GetName())
		if err != nil {
			return err
		}
		if found == nil {
			r.Missing = append(r.Missing, kube.Name(obj))
		}
	}
	return nil
}
