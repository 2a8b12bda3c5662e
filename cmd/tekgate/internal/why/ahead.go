package why

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/diagnosis"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Requests that do not depend on each other are sent ahead, at the same time: to a distant API server
// an explanation then takes few round trips. What uses the answers stays one sequence, and need not
// know whether a request was sent ahead.

// atOnce is how many requests are sent ahead at one time.
const atOnce = 8

// request is a request that was not sent yet.
type request[T any] struct {
	// what identifies it, for users too.
	what string
	send func() (T, error)
}

// ahead sends a request, unless it was sent before or the limit is reached.
func ahead[T any](r *reader, q request[T]) {
	if r.done[q.what] || r.limit > 0 && r.spent >= r.limit {
		return
	}
	r.once(q.what)
	var answer T
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.slots <- struct{}{}
		defer func() { <-r.slots }()
		answer, err = q.send()
	}()
	r.sent[q.what] = func() (any, error) {
		<-done
		return answer, err
	}
}

// fetch returns the answer to a request, which is sent now unless it was sent ahead. asked is false if
// its answer was used before, or the limit is reached.
func fetch[T any](r *reader, q request[T]) (answer T, asked bool, err error) {
	if wait, sent := r.sent[q.what]; sent {
		delete(r.sent, q.what)
		found, err := wait()
		return found.(T), true, err
	}
	if !r.once(q.what) {
		return answer, false, nil
	}
	answer, err = q.send()
	return answer, true, err
}

// object is the request for an object.
func (r *reader) object(ctx context.Context, kind resource, namespace,
	name string) request[*unstructured.Unstructured] {
	key := diagnosis.Key{Kind: kind.kind, Namespace: namespace, Name: name}
	return request[*unstructured.Unstructured]{"get " + key.String(), func() (*unstructured.Unstructured, error) {
		return r.client.Resource(kind.gvr()).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	}}
}

// run is the request for a run in a version.
func (r *reader) run(ctx context.Context, kind, version, namespace, name string) request[*unstructured.Unstructured] {
	q := r.object(ctx, runs(kind, version), namespace, name)
	q.what += " in " + version
	return q
}

// objects is the request for a page of the objects that match.
func (r *reader) objects(ctx context.Context, kind resource, namespace string,
	options metav1.ListOptions) request[*unstructured.UnstructuredList] {
	options.Limit = page
	what := fmt.Sprintf("list %s %s %s %s %s", kind.gvr().GroupVersion(), kind.name, namespace, options.LabelSelector,
		options.FieldSelector)
	if options.Continue != "" {
		what += " " + options.Continue
	}
	return request[*unstructured.UnstructuredList]{what, func() (*unstructured.UnstructuredList, error) {
		return r.client.Resource(kind.gvr()).Namespace(namespace).List(ctx, options)
	}}
}

// secretsOf is the request for the Secrets of a type.
func (r *reader) secretsOf(ctx context.Context, namespace, kind string) request[*unstructured.UnstructuredList] {
	return r.objects(ctx, secrets, namespace, metav1.ListOptions{FieldSelector: "type=" + kind})
}

// end is the request for the end of a container's log.
func (r *reader) end(ctx context.Context, of diagnosis.Log) request[[]byte] {
	return request[[]byte]{"log " + of.Namespace + "/" + of.Pod + "/" + of.Container, func() ([]byte, error) {
		return r.logs.Pods(of.Namespace).GetLogs(of.Pod, &corev1.PodLogOptions{
			Container: of.Container, TailLines: &logLines, LimitBytes: &logBytes,
		}).DoRaw(ctx)
	}}
}

// belonging are the requests for what belongs to a run: its Pods and, of a PipelineRun, its TaskRuns.
func (r *reader) belonging(ctx context.Context, kind, version, namespace,
	name string) []request[*unstructured.UnstructuredList] {
	if kind == "TaskRun" {
		return []request[*unstructured.UnstructuredList]{
			r.objects(ctx, pods, namespace, labelled("tekton.dev/taskRun", name))}
	}
	of := labelled("tekton.dev/pipelineRun", name)
	return []request[*unstructured.UnstructuredList]{r.objects(ctx, runs("TaskRun", version), namespace, of),
		r.objects(ctx, pods, namespace, of)}
}

// findAhead sends the requests of find. Where the kind is known it sends those for what belongs to the
// run, too: most runs that users ask about have not succeeded. Where it is not, that would be as many
// requests for nothing.
func (r *reader) findAhead(ctx context.Context, kinds []string, namespace, name string) {
	version := r.version
	if version == "" {
		version = runVersions[0]
	}
	for _, kind := range kinds {
		ahead(r, r.run(ctx, kind, version, namespace, name))
	}
	if len(kinds) == 1 {
		for _, q := range r.belonging(ctx, kinds[0], version, namespace, name) {
			ahead(r, q)
		}
	}
}

// needAhead sends the requests that need will certainly send for a cause.
func (r *reader) needAhead(ctx context.Context, cause diagnosis.Cause) {
	namespace := cause.Run.Namespace
	switch {
	case cause.ID == "resolver-timeout" || cause.ID == "resolver-missing":
		ahead(r, r.object(ctx, deployments, diagnosis.Resolvers.Namespace, diagnosis.Resolvers.Name))
		ahead(r, r.objects(ctx, resolutionAsked, namespace, metav1.ListOptions{}))
	case secretTypes[cause.ID] != nil:
		r.accountAhead(ctx, cause.Run)
		for _, kind := range secretTypes[cause.ID] {
			ahead(r, r.secretsOf(ctx, namespace, kind))
		}
	case cause.Image != "":
		ahead(r, r.object(ctx, namespaces, "", namespace))
		ahead(r, r.object(ctx, mutatingHooks, "", wellknown.MutatingConfiguration))
		ahead(r, r.object(ctx, configMaps, wellknown.TekgateNamespace, wellknown.ConfigMap))
		if r.registries != nil && slices.Contains(probed, cause.ID) {
			ahead(r, r.objects(ctx, nodes, "", metav1.ListOptions{}))
			r.accountAhead(ctx, cause.Run)
		}
	}
}

func (r *reader) accountAhead(ctx context.Context, run diagnosis.Key) {
	if name := r.account(run); name != "" {
		ahead(r, r.object(ctx, accounts, run.Namespace, name))
	}
}
