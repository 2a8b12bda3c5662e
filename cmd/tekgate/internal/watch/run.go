package watch

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tekgate/tekgate/diagnosis"
	"github.com/tekgate/tekgate/internal/display"
)

// Run is a PipelineRun or TaskRun with the fields that are shown, and no others. The decoder
// skips everything else, so that a run of 20 KB takes less than 1 KB. The fields are the same in
// v1 and v1beta1.
type Run struct {
	metav1.TypeMeta `json:",inline"`

	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Status string `json:"status"` // PipelineRunPending until someone releases the run
	} `json:"spec"`
	Status struct {
		Conditions     []Condition  `json:"conditions"`
		StartTime      *metav1.Time `json:"startTime"`
		CompletionTime *metav1.Time `json:"completionTime"`
	} `json:"status"`
}

// Metadata has the metadata that is shown or that informers need. Labels and annotations are
// structs: only the keys that are named here are kept.
type Metadata struct {
	Name              string      `json:"name"`
	Namespace         string      `json:"namespace"`
	UID               types.UID   `json:"uid"`
	ResourceVersion   string      `json:"resourceVersion"`
	CreationTimestamp metav1.Time `json:"creationTimestamp"`

	// Labels are those that Tekton Triggers gives to what it creates.
	Labels struct {
		EventID  string `json:"triggers.tekton.dev/triggers-eventid"`
		Listener string `json:"triggers.tekton.dev/eventlistener"`
		Trigger  string `json:"triggers.tekton.dev/trigger"`
	} `json:"labels"`
	Annotations struct {
		// InitialEventsEnd is on the bookmark that ends the initial events of a watch.
		InitialEventsEnd string `json:"k8s.io/initial-events-end"`
	} `json:"annotations"`
}

// Condition is a condition of a run's status.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Changed is when the status last changed.
	Changed *metav1.Time `json:"lastTransitionTime"`
}

// RunList is a page of runs.
type RunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []Run `json:"items"`
}

// GetObjectMeta returns the metadata as Kubernetes' libraries want it.
func (r *Run) GetObjectMeta() metav1.Object {
	m := &metav1.ObjectMeta{
		Name: r.Metadata.Name, Namespace: r.Metadata.Namespace, UID: r.Metadata.UID,
		ResourceVersion: r.Metadata.ResourceVersion, CreationTimestamp: r.Metadata.CreationTimestamp,
	}
	if end := r.Metadata.Annotations.InitialEventsEnd; end != "" {
		m.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: end}
	}
	return m
}

// DeepCopyObject implements runtime.Object. Runs are never changed, so the copy shares what
// pointers lead to.
func (r *Run) DeepCopyObject() runtime.Object {
	c := *r
	return &c
}

// DeepCopyObject implements runtime.Object.
func (l *RunList) DeepCopyObject() runtime.Object {
	c := *l
	return &c
}

// longestMessage bounds what is kept of a condition's message, in bytes.
const longestMessage = 1024

// shrink drops what is left in a decoded run that is not shown: other conditions and the tails of
// long messages. It sets the kind, which list items may lack.
func (r *Run) shrink(kind string) {
	r.TypeMeta = metav1.TypeMeta{Kind: kind}
	kept := r.Status.Conditions[:0]
	for _, c := range r.Status.Conditions {
		if c.Type == "Succeeded" {
			if len(c.Message) > longestMessage {
				c.Message = strings.Clone(strings.ToValidUTF8(c.Message[:longestMessage], ""))
			}
			kept = append(kept, c)
		}
	}
	r.Status.Conditions = append([]Condition(nil), kept...)
}

// The states of a run.
const (
	Pending   = "Pending"
	Running   = "Running"
	Succeeded = "Succeeded"
	Failed    = "Failed"
	Cancelled = "Cancelled"
	TimedOut  = "TimedOut"
	Deleted   = "Deleted" // in lines only
)

// condition is the condition Succeeded; it is empty before Tekton has seen the run.
func (r *Run) condition() Condition {
	for _, c := range r.Status.Conditions {
		if c.Type == "Succeeded" {
			return c
		}
	}
	return Condition{}
}

// State returns the run's state.
func (r *Run) State() string {
	c := r.condition()
	switch {
	case c.Status == "True":
		return Succeeded
	case c.Status == "False" && cancelled[c.Reason]:
		return Cancelled
	case c.Status == "False" && strings.HasSuffix(c.Reason, "Timeout"):
		return TimedOut
	case c.Status == "False":
		return Failed
	case c.Status == "" || pending[c.Reason] || r.Spec.Status == "PipelineRunPending":
		return Pending
	}
	return Running
}

// cancelled are Tekton's reasons for runs that somebody stopped.
var cancelled = map[string]bool{
	"Cancelled": true, "PipelineRunCancelled": true, "PipelineRunStopped": true, "TaskRunCancelled": true,
	"StoppedRunFinally": true, "CancelledRunFinally": true,
}

// pending are Tekton's reasons for runs that have no running Pod yet.
var pending = map[string]bool{
	"Pending": true, "PipelineRunPending": true, "ExceededNodeResources": true, "ExceededResourceQuota": true,
	"ResolvingTaskRef": true, "ResolvingPipelineRef": true, "TaskRunResolving": true,
}

// done reports whether the run has ended.
func (r *Run) done() bool { return r.condition().Status == "True" || r.condition().Status == "False" }

// failed reports whether the run ended and did not do its work.
func (r *Run) failed() bool { return r.condition().Status == "False" }

// started is when Tekton started the run, or when it was created.
func (r *Run) started() time.Time {
	if r.Status.StartTime != nil {
		return r.Status.StartTime.Time
	}
	return r.Metadata.CreationTimestamp.Time
}

// duration is how long the run took, or has taken until now.
func (r *Run) duration(now time.Time) time.Duration {
	end := now
	switch {
	case r.Status.CompletionTime != nil:
		end = r.Status.CompletionTime.Time
	case r.done() && r.Status.StartTime == nil, r.done() && r.condition().Changed == nil:
		return 0 // refused before it started
	case r.done(): // Tekton leaves some failed runs without a time of completion
		end = r.condition().Changed.Time
	}
	return max(0, end.Sub(r.started())).Truncate(time.Second)
}

// message is the first sentence of the condition's message, for runs that have not succeeded.
func (r *Run) message() string {
	c := r.condition()
	if c.Status == "True" || c.Message == "" {
		return ""
	}
	return firstSentence(diagnosis.Mask(c.Message))
}

// firstSentence cuts a text at its first line's end or full stop, and removes control characters.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if i := strings.Index(text, ". "); i > 0 {
		text = text[:i+1]
	}
	return display.Printable(text, ' ')
}
