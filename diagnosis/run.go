package diagnosis

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// evidence is a text with its origin.
type evidence struct {
	origin    origin
	object    Key
	container string // the container that it is about, if it names one
	reason    string
	text      string
}

// origin is where a text was found.
type origin int

const (
	fromCondition  origin = iota // the run's condition
	fromWaiting                  // a container that waits
	fromPod                      // the Pod's status or conditions
	fromEvent                    // a warning
	fromResolution               // the condition of a ResolutionRequest
)

// container is a container of a Pod and its state. Where the Pod is gone, it is what the
// run recorded of it.
type container struct {
	name    string
	image   string // as the Pod names it
	waiting *state
	ended   *state
	started bool
	// stopped reports whether it ran before: Tekton stops sidecars with an image that may lack
	// their command.
	stopped bool
	// last is how a sidecar ended that the kubelet starts again and again (restartPolicy: Always).
	last *state
}

type state struct {
	reason, message string
	code            int64
}

// containerTitle returns what a container is called in sentences: steps and sidecars by
// their own names.
func containerTitle(name string) string {
	if step, ok := strings.CutPrefix(name, "step-"); ok {
		return "step " + step
	}
	if sidecar, ok := strings.CutPrefix(name, "sidecar-"); ok {
		return "sidecar " + sidecar
	}
	return "container " + name
}

// isStep reports whether a container is a step: its end is the run's business. Tekton
// watches no other container until the Pod has ended.
func isStep(name string) bool { return strings.HasPrefix(name, "step-") }

// condition is the condition Succeeded of a run.
type condition struct {
	status, reason, message string
	since                   time.Time
}

func conditionOf(obj *unstructured.Unstructured) condition {
	for _, c := range list(obj.Object, "status", "conditions") {
		if text(c, "type") == "Succeeded" {
			since, _ := time.Parse(time.RFC3339, text(c, "lastTransitionTime"))
			return condition{text(c, "status"), text(c, "reason"), text(c, "message"), since}
		}
	}
	return condition{}
}

func (c condition) failed() bool    { return c.status == "False" }
func (c condition) succeeded() bool { return c.status == "True" }

// task is a TaskRun with everything that belongs to it.
type task struct {
	state      *State
	obj        *unstructured.Unstructured
	key        Key
	condition  condition
	pod        *unstructured.Unstructured // nil if it is gone or was not read
	podKey     Key
	containers []container
	evidence   []evidence
	account    string // of the Pod
}

func newTask(state *State, obj *unstructured.Unstructured) *task {
	t := &task{state: state, obj: obj, key: KeyOf(obj), condition: conditionOf(obj)}
	t.findPod()
	t.account = cmp.Or(text(podObject(t.pod), "spec", "serviceAccountName"),
		text(obj.Object, "spec", "serviceAccountName"), "default")
	t.readContainers()
	t.collect()
	return t
}

func podObject(pod *unstructured.Unstructured) map[string]any {
	if pod == nil {
		return nil
	}
	return pod.Object
}

// findPod finds the Pod of the last attempt.
func (t *task) findPod() {
	name := text(t.obj.Object, "status", "podName")
	if name != "" {
		t.pod = t.state.Get("Pod", t.key.Namespace, name)
		t.podKey = Key{"Pod", t.key.Namespace, name}
		return
	}
	var earlier []string
	for _, attempt := range list(t.obj.Object, "status", "retriesStatus") {
		earlier = append(earlier, text(attempt, "podName"))
	}
	for _, pod := range t.state.Kind("Pod") {
		own := pod.GetNamespace() == t.key.Namespace && pod.GetLabels()["tekton.dev/taskRun"] == t.key.Name
		if own && !slices.Contains(earlier, pod.GetName()) {
			t.pod, t.podKey = pod, KeyOf(pod)
		}
	}
}

// readContainers reads the containers' states from the Pod, or from the run if the Pod is gone.
func (t *task) readContainers() {
	if t.pod == nil {
		for _, kind := range []struct{ field, prefix string }{{"steps", "step-"}, {"sidecars", "sidecar-"}} {
			for _, s := range list(t.obj.Object, "status", kind.field) {
				c := containerState(s, "")
				c.name = cmp.Or(text(s, "container"), kind.prefix+text(s, "name"))
				t.containers = append(t.containers, c)
			}
		}
		return
	}
	images, native := map[string]string{}, map[string]bool{}
	for _, field := range []string{"initContainers", "containers"} {
		for _, c := range list(t.pod.Object, "spec", field) {
			images[text(c, "name")] = text(c, "image")
			native[text(c, "name")] = text(c, "restartPolicy") == "Always"
		}
	}
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, s := range list(t.pod.Object, "status", field) {
			c := containerState(fields(s, "state"), images[text(s, "name")])
			c.name = text(s, "name")
			last := containerState(fields(s, "lastState"), "").ended
			switch {
			case last == nil || isStep(c.name):
			case native[c.name]:
				c.last = last
			default:
				c.started, c.stopped = true, true
			}
			t.containers = append(t.containers, c)
		}
	}
}

// containerState reads a ContainerState, which a TaskRun's status embeds in its steps.
func containerState(s map[string]any, image string) container {
	c := container{image: image}
	if w := fields(s, "waiting"); w != nil {
		c.waiting = &state{reason: text(w, "reason"), message: text(w, "message")}
	}
	if e := fields(s, "terminated"); e != nil {
		code, _, _ := unstructured.NestedInt64(e, "exitCode")
		c.ended = &state{text(e, "reason"), text(e, "message"), code}
		// Tekton marks the steps of a run that it ends itself with the run's reason.
		c.started = !strings.HasPrefix(c.ended.reason, "TaskRun") || text(e, "containerID") != ""
	}
	c.started = c.started || fields(s, "running") != nil
	return c
}

// anyStarted reports whether a container of the Pod has started: what kept it from being
// scheduled is over.
func (t *task) anyStarted() bool {
	return slices.ContainsFunc(t.containers, func(c container) bool { return c.started })
}

func (t *task) container(name string) *container {
	i := slices.IndexFunc(t.containers, func(c container) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return &t.containers[i]
}

// specs returns the containers of the Pod, or those that the run's Task defines if the Pod is gone.
func (t *task) specs() []map[string]any {
	if t.pod != nil {
		return slices.Concat(list(t.pod.Object, "spec", "initContainers"), list(t.pod.Object, "spec", "containers"))
	}
	return slices.Concat(t.steps(), list(t.taskSpec(), "sidecars"))
}

// steps returns the steps of the run's Task, as far as Tekton has read it.
func (t *task) steps() []map[string]any { return list(t.taskSpec(), "steps") }

func (t *task) taskSpec() map[string]any {
	if spec := fields(t.obj.Object, "status", "taskSpec"); spec != nil {
		return spec
	}
	return fields(t.obj.Object, "spec", "taskSpec")
}

// image returns the image of a container as it is written, or "".
func (t *task) image(name string) string {
	for _, c := range t.specs() {
		own := text(c, "name")
		if own == name || t.pod == nil && ("step-"+own == name || "sidecar-"+own == name) {
			return text(c, "image")
		}
	}
	return ""
}

// collect gathers the texts about the run, those that are nearest to the root first.
func (t *task) collect() {
	for _, c := range t.containers {
		// One that started and waits again is a sidecar that Tekton stops with another image.
		normal := c.waiting == nil || c.waiting.reason == "PodInitializing" || c.waiting.reason == "ContainerCreating"
		if !normal && !c.started {
			t.evidence = append(t.evidence,
				evidence{fromWaiting, t.podKey, c.name, c.waiting.reason, c.waiting.message})
		}
	}
	if t.pod != nil {
		for _, c := range list(t.pod.Object, "status", "conditions") {
			if text(c, "status") == "False" && text(c, "message") != "" && text(c, "type") == "PodScheduled" {
				t.evidence = append(t.evidence, evidence{fromPod, t.podKey, "", text(c, "reason"), text(c, "message")})
			}
		}
		if message := text(t.pod.Object, "status", "message"); message != "" {
			t.evidence = append(t.evidence,
				evidence{fromPod, t.podKey, "", text(t.pod.Object, "status", "reason"), message})
		}
	}
	t.evidence = append(t.evidence, t.events()...)
	for _, request := range t.state.Kind("ResolutionRequest") {
		if c := conditionOf(request); c.failed() && ownedBy(request, t.obj) {
			t.evidence = append(t.evidence, evidence{fromResolution, KeyOf(request), "", c.reason, c.message})
		}
	}
	if message := t.condition.message; message != "" {
		// Tekton quotes some texts of a Pod as a program would.
		message = strings.ReplaceAll(message, `\"`, `"`)
		t.evidence = append(t.evidence, evidence{fromCondition, t.key, "", t.condition.reason, message})
	}
}

// beforeStart are the events that no longer matter once the kubelet has turned to a container.
var beforeStart = []string{"FailedScheduling", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"}

// afterSandbox are the events that prove that volumes and the sandbox are there: a new node
// often needs more than one try.
var afterSandbox = []string{"Pulling", "Pulled", "Created", "Started"}

// soonOver finds what the kubelet reports of a new Pod until it has read what the Pod names. It tries
// again after two minutes at most.
var soonOver = lazyregexp.New(`object "[^"]*"/"[^"]*" not registered|failed to sync (?:configmap|secret) cache`)

// passing reports whether a warning was given just now, and is no failure yet.
func (t *task) passing(e *unstructured.Unstructured) bool {
	at, err := time.Parse(time.RFC3339, eventTime(e))
	return err == nil && t.state.Now.Sub(at) < 3*time.Minute && soonOver.MatchString(text(e.Object, "message"))
}

// events returns the warnings about the run and its Pod that still count, the newest first.
func (t *task) events() []evidence {
	var found []*unstructured.Unstructured
	scheduled := text(podObject(t.pod), "spec", "nodeName") != ""
	created := t.obj.GetCreationTimestamp().UTC().Format(time.RFC3339)
	for _, e := range t.state.Kind("Event") {
		about := eventObject(e)
		own := about == t.key || about == t.podKey && about.Name != ""
		if own && eventTime(e) >= created { // or else it is about an earlier run of this name
			found = append(found, e)
			scheduled = scheduled || text(e.Object, "reason") == "Scheduled"
		}
	}
	slices.SortStableFunc(found, func(a, b *unstructured.Unstructured) int {
		return strings.Compare(eventTime(b), eventTime(a))
	})
	var texts []evidence
	begun := t.anyStarted()
	for _, e := range found {
		reason, container := text(e.Object, "reason"), eventContainer(e)
		c := t.container(container)
		begun = begun || slices.Contains(afterSandbox, reason)
		switch {
		case text(e.Object, "type") == "Normal" && reason != "BackOff",
			reason == "FailedScheduling" && scheduled,
			slices.Contains(beforeStart, reason) && begun,
			c != nil && c.started,
			t.condition.status != "False" && t.passing(e),
			c == nil && t.anyStarted() && slices.Contains(initial, container), // the Pod is gone
			eventObject(e).Kind == "TaskRun" && t.condition.status == "Unknown":
			continue
		}
		texts = append(texts, evidence{fromEvent, eventObject(e), container, reason,
			cmp.Or(text(e.Object, "message"), text(e.Object, "note"))})
	}
	return texts
}

// eventObject returns what an event is about, in either version of the API.
func eventObject(e *unstructured.Unstructured) Key {
	about := fields(e.Object, "involvedObject")
	if about == nil {
		about = fields(e.Object, "regarding")
	}
	return Key{text(about, "kind"), text(about, "namespace"), text(about, "name")}
}

// eventContainer returns the container of a field path such as spec.containers{step-build}.
func eventContainer(e *unstructured.Unstructured) string {
	about := fields(e.Object, "involvedObject")
	if about == nil {
		about = fields(e.Object, "regarding")
	}
	_, rest, _ := strings.Cut(text(about, "fieldPath"), "{")
	name, _, _ := strings.Cut(rest, "}")
	return name
}

// eventTime returns when an event was last seen, to the second: some times have fractions, and
// those of objects have none.
func eventTime(e *unstructured.Unstructured) string {
	at := cmp.Or(text(e.Object, "series", "lastObservedTime"), text(e.Object, "lastTimestamp"),
		text(e.Object, "eventTime"), text(e.Object, "deprecatedLastTimestamp"),
		e.GetCreationTimestamp().UTC().Format(time.RFC3339))
	if second, _, found := strings.Cut(at, "."); found {
		return second + "Z"
	}
	return at
}

func ownedBy(obj, owner *unstructured.Unstructured) bool {
	for _, ref := range obj.GetOwnerReferences() {
		if ref.Kind == owner.GetKind() && ref.Name == owner.GetName() && obj.GetNamespace() == owner.GetNamespace() {
			return true
		}
	}
	return false
}

// age returns how long ago the run was created.
func (t *task) age() time.Duration { return t.state.age(t.obj) }

func (s *State) age(obj *unstructured.Unstructured) time.Duration {
	return s.Now.Sub(obj.GetCreationTimestamp().Time)
}

// cause returns a cause of the run.
func (t *task) cause(id string, object Key, container, message, remedy string) Cause {
	if object.Name == "" { // a Pod that is not known any more
		object = t.key
	}
	return Cause{ID: id, Run: t.key, Object: object, Container: container, Message: message, Remedy: remedy}
}

// log returns the end of a container's log.
func (t *task) log(container string) string {
	for _, l := range t.state.Logs {
		if l.Namespace == t.key.Namespace && l.Pod == t.podKey.Name && l.Container == container {
			return l.Text
		}
	}
	return ""
}

// text returns a string field of an object, or "".
func text(obj map[string]any, path ...string) string {
	value, _, _ := unstructured.NestedString(obj, path...)
	return value
}

// fields returns a field of an object that has fields of its own, or nil.
func fields(obj map[string]any, path ...string) map[string]any {
	var value any = obj
	for _, name := range path {
		m, _ := value.(map[string]any)
		value = m[name]
	}
	m, _ := value.(map[string]any)
	return m
}

// list returns the maps of a list in an object.
func list(obj map[string]any, path ...string) []map[string]any {
	parent := fields(obj, path[:len(path)-1]...)
	list, _ := parent[path[len(path)-1]].([]any)
	all := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}
