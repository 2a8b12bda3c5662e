package why

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/diagnosis"
)

// most is how many TaskRuns of a PipelineRun are looked at closely, with requests of their own.
const most = 3

// explain reads what belongs to a run, and returns its causes. What the first causes ask for
// is read too, and the run is then explained again.
func (r *reader) explain(ctx context.Context, run diagnosis.Key) []diagnosis.Cause {
	r.parts(ctx, run)
	causes := diagnosis.Explain(r.state, run)
	for range 2 { // what was read may lead to another cause, which asks for more
		for _, cause := range causes {
			r.needAhead(ctx, cause)
		}
		for _, cause := range causes {
			r.need(ctx, cause)
		}
		r.answers()
		causes = diagnosis.Explain(r.state, run)
	}
	return causes
}

func first[T any](list []T, n int) []T { return list[:min(n, len(list))] }

// parts reads the TaskRuns, the Pods, the Pods' events and the logs of a run that has not succeeded.
func (r *reader) parts(ctx context.Context, run diagnosis.Key) {
	obj := r.state.Get(run.Kind, run.Namespace, run.Name)
	state, _ := diagnosis.Summary(obj)
	if state == "succeeded" || state == "not started" {
		return
	}
	for _, q := range r.belonging(ctx, run.Kind, r.version, run.Namespace, run.Name) {
		ahead(r, q)
	}
	taskRuns := []*unstructured.Unstructured{obj}
	if run.Kind == "PipelineRun" {
		r.all(ctx, runs("TaskRun", r.version), run.Namespace, labelled("tekton.dev/pipelineRun", run.Name))
		r.all(ctx, pods, run.Namespace, labelled("tekton.dev/pipelineRun", run.Name))
		r.otherChildren(ctx, obj)
		taskRuns = slices.DeleteFunc(diagnosis.Children(r.state, obj), func(child *unstructured.Unstructured) bool {
			state, _ := diagnosis.Summary(child)
			return state == "succeeded"
		})
	} else {
		r.all(ctx, pods, run.Namespace, labelled("tekton.dev/taskRun", run.Name))
	}
	logs := first(diagnosis.FailedContainers(r.state, run), most)
	var names []string
	for _, taskRun := range first(taskRuns, most) {
		if name := r.podName(taskRun); name != "" {
			names = append(names, name)
			ahead(r, r.objects(ctx, events, run.Namespace, nameOf(name)))
		}
	}
	r.logsAhead(ctx, logs)
	for _, name := range names {
		r.all(ctx, events, run.Namespace, nameOf(name))
	}
	for _, log := range logs {
		r.log(ctx, log)
	}
}

func (r *reader) logsAhead(ctx context.Context, logs []diagnosis.Log) {
	for _, log := range logs {
		ahead(r, r.end(ctx, log))
	}
}

// secretTypes are the types of the Secrets that decide about a cause.
var secretTypes = map[string][]string{
	"push-unauthorized": {"kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg", "kubernetes.io/basic-auth"},
	"git-credentials":   {"kubernetes.io/ssh-auth", "kubernetes.io/basic-auth"},
	"git-host-key":      {"kubernetes.io/ssh-auth", "kubernetes.io/basic-auth"},
}

// otherChildren reads the custom runs and PipelineRuns of a PipelineRun.
func (r *reader) otherChildren(ctx context.Context, obj *unstructured.Unstructured) {
	children := first(diagnosis.OtherChildren(obj), most)
	kind := func(child diagnosis.Key) resource {
		if child.Kind == "PipelineRun" {
			return runs(child.Kind, r.version)
		}
		return customRuns
	}
	for _, child := range children {
		ahead(r, r.object(ctx, kind(child), child.Namespace, child.Name))
	}
	for _, child := range children {
		r.get(ctx, kind(child), child.Namespace, child.Name)
	}
}

// podName returns the name of a TaskRun's Pod, whether or not it is still there.
func (r *reader) podName(taskRun *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(taskRun.Object, "status", "podName")
	if name != "" {
		return name
	}
	for _, pod := range r.state.Kind("Pod") {
		if pod.GetNamespace() == taskRun.GetNamespace() && pod.GetLabels()["tekton.dev/taskRun"] == taskRun.GetName() {
			return pod.GetName()
		}
	}
	return ""
}

// need reads what a cause depends on.
func (r *reader) need(ctx context.Context, cause diagnosis.Cause) {
	namespace := cause.Run.Namespace
	switch {
	case cause.ID == "controller-missing":
		r.get(ctx, deployments, "tekton-pipelines", "tekton-pipelines-controller")
	case cause.ID == "resolver-timeout" || cause.ID == "resolver-missing":
		r.get(ctx, deployments, diagnosis.Resolvers.Namespace, diagnosis.Resolvers.Name)
		r.all(ctx, resolutionAsked, namespace, metav1.ListOptions{})
	case secretTypes[cause.ID] != nil:
		r.credentials(ctx, cause.Run, secretTypes[cause.ID]...)
	case cause.ID == "node-taint":
		r.all(ctx, nodes, "", metav1.ListOptions{})
	case cause.Image != "":
		r.mirror(ctx, namespace)
		r.probe(ctx, cause)
	}
}

// account returns the name of the ServiceAccount of a TaskRun's Pod.
func (r *reader) account(run diagnosis.Key) string {
	return diagnosis.Account(r.state, run)
}

// failed reads the runs that failed since a time, and returns those that no PipelineRun owns.
func (r *reader) failed(ctx context.Context, namespace string, since time.Duration) ([]diagnosis.Key, error) {
	late := r.state.Now.Add(-since)
	var found []diagnosis.Key
	var forbidden []error
	kinds := []string{"PipelineRun", "TaskRun"}
	for _, kind := range kinds {
		keep := func(obj *unstructured.Unstructured) bool {
			state, _ := diagnosis.Summary(obj)
			owned := obj.GetLabels()["tekton.dev/pipelineRun"] != ""
			if state != "failed" || ended(obj).Before(late) {
				return state != "succeeded" && owned
			}
			if kind == "PipelineRun" || !owned {
				found = append(found, diagnosis.KeyOf(obj))
			}
			return true
		}
		err := r.served(func(version string) error {
			return r.list(ctx, runs(kind, version), namespace, metav1.ListOptions{}, keep)
		})
		switch {
		case apierrors.IsForbidden(err):
			forbidden = append(forbidden, err)
			r.lacks(kind+"s", err)
		case err != nil:
			return nil, err
		}
	}
	if len(forbidden) == len(kinds) {
		return nil, errors.Join(forbidden...)
	}
	slices.SortFunc(found, func(a, b diagnosis.Key) int { return strings.Compare(a.String(), b.String()) })
	return found, nil
}

// ended returns when a run ended.
func ended(obj *unstructured.Unstructured) time.Time {
	written, _, _ := unstructured.NestedString(obj.Object, "status", "completionTime")
	if at, err := time.Parse(time.RFC3339, written); err == nil {
		return at
	}
	return obj.GetCreationTimestamp().Time
}

// manyLogs is how many logs are read for a group of runs.
const manyLogs = 50

// explainAll returns the causes of many runs. Their Pods and events are read at once.
func (r *reader) explainAll(ctx context.Context, failed []diagnosis.Key) map[diagnosis.Key][]cause {
	causes := map[diagnosis.Key][]cause{}
	if len(failed) == 0 {
		return causes
	}
	namespace := failed[0].Namespace
	if slices.ContainsFunc(failed, func(run diagnosis.Key) bool { return run.Namespace != namespace }) {
		namespace = ""
	}
	ofRuns := metav1.ListOptions{LabelSelector: "tekton.dev/taskRun", FieldSelector: "status.phase!=Succeeded"}
	ofPods := metav1.ListOptions{FieldSelector: "involvedObject.kind=Pod,type=Warning"}
	ahead(r, r.objects(ctx, events, namespace, ofPods))
	r.all(ctx, pods, namespace, ofRuns)
	r.all(ctx, events, namespace, ofPods)
	var logs []diagnosis.Log
	for _, run := range failed {
		logs = append(logs, diagnosis.FailedContainers(r.state, run)...)
	}
	r.logsAhead(ctx, first(logs, manyLogs))
	for _, log := range first(logs, manyLogs) {
		r.log(ctx, log)
	}
	for _, run := range failed {
		found := diagnosis.Explain(r.state, run)
		for _, cause := range found {
			r.needAhead(ctx, cause)
		}
		for _, cause := range found {
			r.need(ctx, cause)
		}
	}
	r.answers()
	for _, run := range failed {
		causes[run] = withHints(diagnosis.Explain(r.state, run))
	}
	return causes
}
