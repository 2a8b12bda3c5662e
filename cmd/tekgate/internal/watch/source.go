package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/selection"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
)

const (
	group = "tekton.dev"
	// pageSize is the number of runs in one answer of a list, as kubectl's.
	pageSize = 500
	// ownerLabel is on the TaskRuns of a PipelineRun.
	ownerLabel = "tekton.dev/pipelineRun"
)

// kind is a kind of runs.
type kind struct{ name, resource string }

var kinds = []kind{{"PipelineRun", "pipelineruns"}, {"TaskRun", "taskruns"}}

// source reads the runs of one kind. It asks for the version of Tekton's API that the server
// serves, also after an upgrade of Tekton has removed the one that was used before.
type source struct {
	kind
	client    rest.Interface
	namespace string // empty for all
	selector  string
	version   atomic.Value // a string
	outage    *outage
}

// restClient returns a client that decodes both kinds, in both versions, to Run.
func restClient(config *rest.Config) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	for _, version := range versions {
		gv := schema.GroupVersion{Group: group, Version: version}
		metav1.AddToGroupVersion(scheme, gv)
		for _, k := range kinds {
			scheme.AddKnownTypeWithName(gv.WithKind(k.name), &Run{})
			scheme.AddKnownTypeWithName(gv.WithKind(k.name+"List"), &RunList{})
		}
	}
	config = rest.CopyConfig(config)
	config.GroupVersion = &schema.GroupVersion{Group: group, Version: versions[0]}
	config.APIPath = "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType = runtime.ContentTypeJSON
	return rest.RESTClientFor(config)
}

// versions are those of Tekton's API whose runs can be read, the preferred one first.
var versions = []string{"v1", "v1beta1"}

// discover finds the version in which the server serves a resource. Others of Tekton's kinds may be
// served in other versions.
func discover(ctx context.Context, client rest.Interface, resource string) (string, error) {
	for _, version := range versions {
		served := &metav1.APIResourceList{}
		err := client.Get().AbsPath("/apis", group, version).Do(ctx).Into(served)
		switch {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return "", fmt.Errorf("finding Tekton's API: %w", err)
		}
		for i := range served.APIResources {
			if served.APIResources[i].Name == resource {
				return version, nil
			}
		}
	}
	return "", errors.New("the cluster has no Tekton Pipelines: install it with `tekgate install`")
}

// sources returns the kinds that may be listed. It warns of a kind that the user may not list, and
// fails if none is left.
func sources(ctx context.Context, config *rest.Config, o *options, streams cli.Streams) ([]*source, error) {
	client, err := restClient(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	selector, err := taskRunSelector(o.selector)
	if err != nil {
		return nil, err
	}
	shared := &outage{out: streams.ErrOut, down: map[string]bool{}}
	var usable []*source
	var denied []error
	for _, k := range kinds {
		s := &source{kind: k, client: client, namespace: o.namespace, selector: o.selector, outage: shared}
		if k.name == "TaskRun" {
			s.selector = selector
		}
		version, err := discover(ctx, client, k.resource)
		if err != nil {
			return nil, err
		}
		s.version.Store(version)
		verb, err := s.allowed(ctx, o.once)
		switch {
		case apierrors.IsForbidden(err):
			denied = append(denied, fmt.Errorf("you may not %s %s%s: ask for the verbs list and watch, or name "+
				"a namespace with -n: %w", verb, k.resource, cli.InNamespace(o.namespace), err))
			continue
		case err != nil:
			return nil, fmt.Errorf("listing %s: %w", k.resource, err)
		}
		usable = append(usable, s)
	}
	if len(usable) == 0 {
		return nil, errors.Join(denied...)
	}
	for _, err := range denied {
		streams.Warn(err)
	}
	return usable, nil
}

// allowed lists a run and, unless that is all, watches. It returns the last verb and the server's error.
func (s *source) allowed(ctx context.Context, once bool) (verb string, err error) {
	list, err := s.page(ctx, metav1.ListOptions{Limit: 1})
	if err != nil || once {
		return "list", err
	}
	w, err := s.request(&metav1.ListOptions{Watch: true, ResourceVersion: list.ResourceVersion}).Watch(ctx)
	if err == nil {
		w.Stop()
	}
	return "watch", err
}

// taskRunSelector leaves out the TaskRuns of PipelineRuns, which the row of their PipelineRun
// stands for, unless the user's selector is about them.
func taskRunSelector(text string) (string, error) {
	selector, err := labels.Parse(text)
	if err != nil {
		return "", fmt.Errorf("reading --selector %q: %w: write it like app=web,!canary", text, err)
	}
	requirements, _ := selector.Requirements()
	for _, r := range requirements {
		if r.Key() == ownerLabel {
			return text, nil
		}
	}
	alone, err := labels.NewRequirement(ownerLabel, selection.DoesNotExist, nil)
	if err != nil {
		return "", err
	}
	return selector.Add(*alone).String(), nil
}

// request starts a request for the runs, of the version that is served.
func (s *source) request(options *metav1.ListOptions) *rest.Request {
	options.LabelSelector = s.selector
	version, _ := s.version.Load().(string)
	return s.client.Get().AbsPath("/apis", group, version).NamespaceIfScoped(s.namespace, s.namespace != "").
		Resource(s.resource).VersionedParams(options, metav1.ParameterCodec)
}

// page returns one page of the runs.
func (s *source) page(ctx context.Context, options metav1.ListOptions) (*RunList, error) {
	list := &RunList{}
	if err := s.request(&options).Do(ctx).Into(list); err != nil {
		return nil, err
	}
	for i := range list.Items {
		list.Items[i].shrink(s.name)
	}
	return list, nil
}

// list calls add with all runs, page by page.
func (s *source) list(ctx context.Context, add func(*Run)) error {
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := s.page(ctx, options)
		if err != nil {
			return fmt.Errorf("listing %s: %w", s.resource, err)
		}
		for i := range page.Items {
			add(&page.Items[i])
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
}

// informer returns an informer of the runs. It streams the initial list where the server can
// (WatchList), and else reads it in pages: the pages of a list with a resource version would be one.
func (s *source) informer() (cache.SharedIndexInformer, error) {
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if options.Continue == "" {
				options.ResourceVersion, options.ResourceVersionMatch, options.Limit = "", "", pageSize
			}
			list, err := s.page(ctx, options)
			s.answered(ctx, "list", err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			options.Watch = true
			w, err := s.request(&options).Watch(ctx)
			s.answered(ctx, "watch", err)
			return w, err
		},
	}
	informer := cache.NewSharedIndexInformerWithOptions(lw, &Run{}, cache.SharedIndexInformerOptions{})
	err := informer.SetTransform(func(obj any) (any, error) {
		if run, ok := obj.(*Run); ok {
			run.shrink(s.name)
		}
		return obj, nil
	})
	if err != nil {
		return nil, err
	}
	// Each request reports its own error; the default would log them to the terminal.
	return informer, informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {})
}

// answered notes how the server answered a request. A version that is no longer served is looked
// up again, for the next request.
func (s *source) answered(ctx context.Context, verb string, err error) {
	switch {
	case ctx.Err() != nil, apierrors.IsResourceExpired(err), apierrors.IsGone(err), apierrors.IsInvalid(err):
		return // the informer starts again, which is no outage
	case apierrors.IsNotFound(err):
		if version, found := discover(ctx, s.client, s.resource); found == nil {
			s.version.Store(version)
		}
	}
	s.outage.note(verb+" "+s.resource, err)
	if verb == "watch" && err == nil { // which brings what a list would have brought
		s.outage.note("list "+s.resource, nil)
	}
}

// outage reports once that the API server does not answer, and once that it does again.
type outage struct {
	out io.Writer

	mu   sync.Mutex
	down map[string]bool // the verbs and resources whose last request failed
	last string          // the sentence of the present outage
}

func (o *outage) note(request string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := len(o.down)
	if err == nil {
		delete(o.down, request)
	} else {
		o.down[request] = true
	}
	switch {
	case before == 0 && len(o.down) > 0:
		o.last = problem(err)
		fmt.Fprintf(o.out, "%s; what is shown may be out of date; trying again\n", o.last)
	case before > 0 && len(o.down) == 0:
		o.last = ""
		fmt.Fprintln(o.out, "the API server answers again")
	}
}

// problem says whether the server refused a request or did not answer it.
func problem(err error) string {
	if apierrors.ReasonForError(err) != metav1.StatusReasonUnknown {
		return fmt.Sprintf("the API server refuses to show the runs: %v", err)
	}
	return fmt.Sprintf("the API server does not answer: %v", err)
}

// sentence describes the present outage; it is empty without one.
func (o *outage) sentence() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}
