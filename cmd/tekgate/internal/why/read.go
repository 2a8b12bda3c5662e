package why

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/tekgate/tekgate/diagnosis"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/suggest"
)

// The resources that are read. Their names are known, so nothing is asked about which kinds
// the server serves.
var (
	pods            = resource{"", "v1", "pods", "Pod"}
	events          = resource{"", "v1", "events", "Event"}
	accounts        = resource{"", "v1", "serviceaccounts", "ServiceAccount"}
	secrets         = resource{"", "v1", "secrets", "Secret"}
	namespaces      = resource{"", "v1", "namespaces", "Namespace"}
	nodes           = resource{"", "v1", "nodes", "Node"}
	configMaps      = resource{"", "v1", "configmaps", "ConfigMap"}
	deployments     = resource{"apps", "v1", "deployments", "Deployment"}
	mutatingHooks   = resource{"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration"}
	resolutionAsked = resource{"resolution.tekton.dev", "v1beta1", "resolutionrequests", "ResolutionRequest"}
)

// runVersions are the versions of runs, the newest first: Tekton before v0.43 serves no v1.
var runVersions = []string{"v1", "v1beta1"}

// runResources are the resources of runs without their version.
var runResources = map[string]resource{
	"TaskRun":     {"tekton.dev", "", "taskruns", "TaskRun"},
	"PipelineRun": {"tekton.dev", "", "pipelineruns", "PipelineRun"},
}

// customRuns are the runs of custom tasks, which Tekton has in no other version.
var customRuns = resource{"tekton.dev", "v1beta1", "customruns", "CustomRun"}

// resource is a kind with the name under which the API serves it.
type resource struct{ group, version, name, kind string }

func (r resource) gvr() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: r.group, Version: r.version, Resource: r.name}
}

// reader reads a cluster into a State.
type reader struct {
	client     dynamic.Interface
	metadata   metadata.Interface
	logs       corev1client.PodsGetter
	state      *diagnosis.State
	version    string            // of runs that the server serves; "" until that is known
	registries *registry.Options // nil to ask no registry
	timeout    time.Duration     // of a registry's answer

	sent  map[string]func() (any, error) // what waits for the answers to requests that were sent ahead
	slots chan struct{}                  // limits them
	asked []func()                       // what waits for registries, in the order of the questions

	gaps  []string
	done  map[string]bool // what was read already, or could not be
	limit int             // the most requests; 0 for any number
	spent int             // the requests so far
	pulls pullSecrets
}

func newReader(config *rest.Config) (*reader, error) {
	r := &reader{state: &diagnosis.State{Now: time.Now()}, done: map[string]bool{},
		sent: map[string]func() (any, error){}, slots: make(chan struct{}, atOnce)}
	config = kube.Unthrottled(config)
	var errs [3]error
	r.client, errs[0] = dynamic.NewForConfig(config)
	r.metadata, errs[1] = metadata.NewForConfig(config)
	r.logs, errs[2] = corev1client.NewForConfig(config)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return r, nil
}

// lacks notes what could not be read, and why, once.
func (r *reader) lacks(what string, err error) {
	why := err.Error()
	if apierrors.IsForbidden(err) {
		why = "you may not: " + why
	}
	if line := what + ": " + why; !slices.Contains(r.gaps, line) {
		r.gaps = append(r.gaps, line)
	}
}

// first reports whether something is done for the first time.
func (r *reader) first(what string) bool {
	first := !r.done[what]
	r.done[what] = true
	return first
}

// mostRequests is how many requests the explanation of one run takes at most.
const mostRequests = 19

// once reports whether a request is to be sent: for the first time, and within the limit.
func (r *reader) once(what string) bool {
	if !r.first(what) {
		return false
	}
	if r.limit > 0 && r.spent >= r.limit {
		r.lacks(what, fmt.Errorf("%d requests were sent already: explain its TaskRuns one by one", r.spent))
		return false
	}
	r.spent++
	return true
}

// get reads an object into the state, once. An object that does not exist is noted as absent.
func (r *reader) get(ctx context.Context, kind resource, namespace, name string) *unstructured.Unstructured {
	if name == "" {
		return nil
	}
	obj, asked, err := fetch(r, r.object(ctx, kind, namespace, name))
	key := diagnosis.Key{Kind: kind.kind, Namespace: namespace, Name: name}
	switch {
	case !asked:
		return r.state.Get(kind.kind, namespace, name)
	case apierrors.IsNotFound(err):
		r.state.Absent = append(r.state.Absent, key)
	case err != nil:
		r.lacks(key.String(), err)
	default:
		r.state.Add(obj)
		return obj
	}
	return nil
}

// page is how many objects one answer has at most.
const page = 500

// list reads the objects that match, once, page by page, and keeps those that are wanted.
func (r *reader) list(ctx context.Context, kind resource, namespace string, options metav1.ListOptions,
	want func(*unstructured.Unstructured) bool) error {
	for {
		found, asked, err := fetch(r, r.objects(ctx, kind, namespace, options))
		if !asked || err != nil {
			return err
		}
		for i := range found.Items {
			if obj := &found.Items[i]; want == nil || want(obj) {
				r.state.Add(obj)
			}
		}
		options.Continue = found.GetContinue()
		if options.Continue == "" {
			return nil
		}
	}
}

// all is list for what may be lacking: an error is noted. Kinds that are not served have no objects.
func (r *reader) all(ctx context.Context, kind resource, namespace string, options metav1.ListOptions) {
	if err := r.list(ctx, kind, namespace, options, nil); err != nil && !notServed(err) {
		what := kind.kind + "s"
		if namespace != "" {
			what += " of namespace " + namespace
		}
		r.lacks(what, err)
	}
}

// notServed reports whether an error says that the server does not know a resource, rather
// than that it lacks an object.
func notServed(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse
	})
}

// runs returns the resource of a kind of run in a version.
func runs(kind, version string) resource {
	r := runResources[kind]
	r.version = version
	return r
}

// served tries the versions of runs until one is served.
func (r *reader) served(try func(version string) error) error {
	if r.version != "" {
		return try(r.version)
	}
	var err error
	for _, version := range runVersions {
		err = try(version)
		switch {
		case apierrors.IsForbidden(err): // which the server says of versions that it does not serve, too
			return err
		case err == nil || !notServed(err):
			r.version = version
			return err
		}
	}
	return errors.New("the cluster has no Tekton Pipelines: run `tekgate install`")
}

// find reads a run, of the first kind that has one of this name. One that succeeded gives way to another of
// its name that did not.
func (r *reader) find(ctx context.Context, kinds []string, namespace, name string) (diagnosis.Key, error) {
	r.findAhead(ctx, kinds, namespace, name)
	var forbidden error
	var succeeded diagnosis.Key
	for _, kind := range kinds {
		var obj *unstructured.Unstructured
		err := r.served(func(version string) (err error) {
			obj, _, err = fetch(r, r.run(ctx, kind, version, namespace, name))
			return err
		})
		switch {
		case err == nil:
			r.state.Add(obj)
			if state, _ := diagnosis.Summary(obj); state != "succeeded" {
				return diagnosis.KeyOf(obj), nil
			}
			succeeded = cmp.Or(succeeded, diagnosis.KeyOf(obj))
		case apierrors.IsForbidden(err): // the run may be of the other kind
			forbidden = errors.Join(forbidden, fmt.Errorf("reading %s %s/%s: %w", kind, namespace, name, err))
		case !apierrors.IsNotFound(err):
			return diagnosis.Key{}, fmt.Errorf("reading %s %s/%s: %w", kind, namespace, name, err)
		}
	}
	switch {
	case succeeded.Name != "":
		return succeeded, nil
	case forbidden != nil:
		return diagnosis.Key{}, forbidden
	}
	return diagnosis.Key{}, r.notFound(ctx, kinds, namespace, name)
}

// notFound returns an error that suggests a run with a similar name.
func (r *reader) notFound(ctx context.Context, kinds []string, namespace, name string) error {
	var known []string
	for _, kind := range kinds {
		list, err := r.metadata.Resource(runs(kind, r.version).gvr()).Namespace(namespace).
			List(ctx, metav1.ListOptions{Limit: 4 * page})
		if err != nil {
			continue // the run is not found all the same
		}
		for i := range list.Items {
			known = append(known, list.Items[i].Name)
		}
	}
	what := "run"
	if len(kinds) == 1 {
		what = kinds[0]
	}
	return fmt.Errorf("namespace %s has no %s %s: %s", namespace, what, name,
		suggest.DidYouMean(name, known, "name another namespace with -n"))
}

// nameOf selects the events of one object by its name.
func nameOf(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: "involvedObject.name=" + name}
}

// labelled selects what a label names.
func labelled(key, value string) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: key + "=" + value}
}

// The end of a log that is read.
var (
	logLines = int64(120)
	logBytes = int64(32 << 10)
)

// log reads the end of a container's log, once.
func (r *reader) log(ctx context.Context, of diagnosis.Log) {
	text, asked, err := fetch(r, r.end(ctx, of))
	if !asked {
		return
	}
	if err != nil {
		r.lacks(fmt.Sprintf("the log of container %s of Pod %s/%s", of.Container, of.Namespace, of.Pod), err)
		return
	}
	of.Text = string(text)
	r.state.Logs = append(r.state.Logs, of)
}
