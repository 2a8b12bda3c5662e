package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// grace is how long a new run is given: objects that it needs may be made in the same moment.
const grace = 10 * time.Second

// slow is how long a step that takes Tekton a moment may take before it counts as a failure.
const slow = 30 * time.Second

// detectors look for causes in a TaskRun that has not succeeded. Each reports only what it
// can prove.
var detectors = []func(*task) []Cause{
	(*task).byController,
	(*task).byResolution,
	(*task).byVerdict,
	(*task).byText,
	(*task).byLookup,
	(*task).byPull,
	(*task).byScheduling,
	(*task).byContainer,
	(*task).byStep,
}

// fallbacks say at least what happened, where no detector found a cause.
var fallbacks = []func(*task) []Cause{
	(*task).byPodCreation,
	(*task).byTimeout,
	(*task).byExit,
	(*task).asReported,
}

// explain returns the causes of a TaskRun.
func (t *task) explain() []Cause {
	if t.condition.succeeded() {
		return nil
	}
	var causes []Cause
	for _, detect := range detectors {
		causes = append(causes, detect(t)...)
	}
	for _, detect := range fallbacks {
		if len(causes) == 0 {
			causes = detect(t)
		}
	}
	return causes
}

// byController reports a run that no controller works on.
func (t *task) byController() []Cause {
	return controllerCauses(t.state, t.obj.Object, t.key, t.condition, t.age(), t.podEnded())
}

// podEnded returns how long ago the Pod of a run ended that Tekton still takes for running.
func (t *task) podEnded() time.Duration {
	phase := text(podObject(t.pod), "status", "phase")
	if t.condition.status != "Unknown" || phase != "Succeeded" && phase != "Failed" {
		return 0
	}
	var last time.Time
	for _, s := range list(t.pod.Object, "status", "containerStatuses") {
		at, err := time.Parse(time.RFC3339, text(s, "state", "terminated", "finishedAt"))
		if err == nil && at.After(last) {
			last = at
		}
	}
	if last.IsZero() {
		return 0
	}
	return t.state.Now.Sub(last)
}

// controllerCauses reports a run that was not started, or whose end was not noticed.
func controllerCauses(s *State, obj map[string]any, key Key, c condition, age, ended time.Duration) []Cause {
	cause := Cause{Run: key, Object: key}
	if pending := text(obj, "spec", "status"); strings.HasSuffix(pending, "RunPending") && !c.failed() {
		cause.ID, cause.Message = "run-pending", "spec.status is "+pending+", so Tekton does not start it"
		return []Cause{cause}
	}
	manager := text(obj, "spec", "managedBy")
	if manager != "" && manager != "tekton.dev/pipeline" && c.status == "" {
		cause.ID, cause.Message = "run-pending", "spec.managedBy is "+manager+", so Tekton's controller leaves it to that"
		return []Cause{cause}
	}
	switch {
	case c.status == "" && age > slow:
		cause.Message = fmt.Sprintf("no controller has taken it up in %s", age.Round(time.Second))
	case ended > slow:
		cause.Message = fmt.Sprintf("its Pod ended %s ago, and no controller has noticed", ended.Round(time.Second))
	default:
		return nil
	}
	cause.ID = "controller-missing"
	cause.Message += deploymentState(s, "tekton-pipelines", "tekton-pipelines-controller")
	return []Cause{cause}
}

// deploymentState says whether a Deployment works, as far as that is known.
func deploymentState(s *State, namespace, name string) string {
	key := Key{"Deployment", namespace, name}
	d := s.Get("Deployment", namespace, name)
	switch {
	case s.absent("Deployment", namespace, name):
		return ": " + key.String() + " does not exist"
	case d == nil:
		return ""
	case !ready(d.Object):
		return ": " + key.String() + " has no ready Pod"
	}
	return ": " + key.String() + " has a ready Pod, so its log says why"
}

func ready(deployment map[string]any) bool {
	n, _ := fields(deployment, "status")["readyReplicas"].(int64)
	return n > 0
}

// byResolution reports a remote Task or Pipeline that is not fetched.
func (t *task) byResolution() []Cause {
	return resolutionCauses(t.state, t.key, t.condition, t.evidence)
}

// Resolvers is the Deployment that fetches remote Tasks and Pipelines.
var Resolvers = Key{"Deployment", "tekton-pipelines-resolvers", "tekton-pipelines-remote-resolvers"}

func resolutionCauses(s *State, key Key, c condition, all []evidence) []Cause {
	waits := c.status == "Unknown" && strings.HasPrefix(c.reason, "Resolving")
	if waits && s.Now.Sub(c.since) > slow {
		d := s.Get(Resolvers.Kind, Resolvers.Namespace, Resolvers.Name)
		missing := s.absent(Resolvers.Kind, Resolvers.Namespace, Resolvers.Name)
		id, message := "resolver-timeout", fmt.Sprintf("it has waited %s for a remote Task or Pipeline",
			s.Now.Sub(c.since).Round(time.Second))
		if missing || d != nil && !ready(d.Object) {
			id = "resolver-missing"
		}
		message += deploymentState(s, Resolvers.Namespace, Resolvers.Name)
		return []Cause{{ID: id, Run: key, Object: key, Message: message}}
	}
	if !c.failed() {
		return nil
	}
	for _, e := range all {
		id := ""
		switch {
		case e.reason == "ResourceVerificationFailed":
			id = "verification-failed"
		case isResolution(e) && isTimeout(e.text):
			id = "resolver-timeout"
		case isResolution(e) && !knownText(e.text):
			id = "resolution-failed"
		}
		if id != "" {
			return []Cause{{ID: id, Run: key, Object: e.object, Message: e.text}}
		}
	}
	return nil
}

// isResolution reports whether a text is about fetching a remote Task or Pipeline.
func isResolution(e evidence) bool {
	return e.origin == fromResolution || e.origin == fromCondition &&
		slices.ContainsFunc(resolutionTexts, func(part string) bool { return strings.Contains(e.text, part) })
}

// resolutionTexts are parts of Tekton's conditions when a fetch has failed.
var resolutionTexts = []string{"requesting remote resource", `error getting "`, "resolver failed",
	"resolution took longer", "resource request"}

func isTimeout(text string) bool {
	return strings.Contains(text, "resolution took longer than global timeout") ||
		strings.Contains(text, "context deadline exceeded") || strings.Contains(text, "ResolutionTimedOut")
}

func knownText(text string) bool {
	for _, k := range knownTexts {
		if k.find.MatchString(text) {
			return true
		}
	}
	return false
}

// verdicts are the reasons of conditions that say what is wrong with the run itself.
var verdicts = map[string]string{
	"InvalidParamValue":                   "param-wrong",
	"ParameterMissing":                    "param-wrong",
	"ParameterTypeMismatch":               "param-wrong",
	"ObjectParameterMissKeys":             "param-wrong",
	"ParamArrayIndexingInvalid":           "param-wrong",
	"InvalidMatrixParameterTypes":         "param-wrong",
	"InvalidWorkspaceBindings":            "workspace-missing",
	"RequiredWorkspaceMarkedOptional":     "workspace-missing",
	"ResourceVerificationFailed":          "verification-failed",
	"TaskRunResultLargerThanAllowedLimit": "result-too-large",
	"TaskRunCancelled":                    "cancelled",
	"Cancelled":                           "cancelled",
	"CancelledRunningFinally":             "cancelled",
	"StoppedRunningFinally":               "cancelled",
	"PipelineInvalidGraph":                "spec-invalid",
	"InvalidTaskRunSpecs":                 "spec-invalid",
	"TaskValidationFailed":                "spec-invalid",
	"InvalidTaskResultReference":          "spec-invalid",
	"InvalidPipelineResultReference":      "spec-invalid",
	"CELEvaluationFailed":                 "spec-invalid",
}

// byVerdict reports what Tekton itself says plainly.
func (t *task) byVerdict() []Cause {
	return verdictCauses(t.key, t.condition)
}

func verdictCauses(key Key, c condition) []Cause {
	id := verdicts[c.reason]
	message := c.message
	switch {
	case !c.failed():
		return nil
	case strings.Contains(message, "more than one PersistentVolumeClaim"), knownText(message):
		return nil
	case id == "" && strings.HasSuffix(c.reason, "ValidationFailed"):
		id = validationKind(message)
	case id == "cancelled" && strings.Contains(message, "has timed out"):
		id = "run-timeout"
	}
	if id == "" {
		return nil
	}
	return []Cause{{ID: id, Run: key, Object: key, Message: cmp.Or(message, c.reason)}}
}

// validated finds what a failed validation is about: the first of the two words counts, for names of
// params follow. The path /workspace is neither.
var validated = lazyregexp.New(`(?i)(?:^|[^/\w-])(workspace|param)`)

// validationKind tells what a failed validation is about.
func validationKind(message string) string {
	switch m := validated.FindStringSubmatch(message); {
	case m == nil:
	case strings.EqualFold(m[1], "workspace"):
		return "workspace-missing"
	default:
		return "param-wrong"
	}
	return "spec-invalid"
}

// byPodCreation reports a Pod that Tekton could not create, for no known reason.
func (t *task) byPodCreation() []Cause {
	created := t.condition.reason == "PodCreationFailed" || t.condition.reason == "PodAdmissionFailed"
	if !created || !t.condition.failed() || !strings.Contains(t.condition.message, "forbidden") {
		return nil
	}
	return []Cause{t.cause("pod-forbidden", t.key, "", cutMaybe(t.condition.message), "")}
}

// byTimeout reports a run whose time was over.
func (t *task) byTimeout() []Cause {
	if t.condition.reason != "TaskRunTimeout" {
		return nil
	}
	message := t.condition.message
	for _, c := range t.containers {
		if c.ended != nil && c.ended.reason == "TaskRunTimeout" && isStep(c.name) {
			return []Cause{t.cause("run-timeout", t.key, c.name, message, "")}
		}
	}
	return []Cause{t.cause("run-timeout", t.key, "", message, "")}
}

// asReported returns a failure that no rule knows as Tekton reports it.
func (t *task) asReported() []Cause {
	// Of a run whose Pod is not known, and that should have started, Tekton's message is all that there is.
	unread := t.pod == nil && t.condition.reason == "Pending" && t.condition.message != "" && t.age() > slow
	if !t.condition.failed() && !unread {
		return nil
	}
	return []Cause{t.cause("unknown", t.key, "", reported(t.condition), "")}
}

func reported(c condition) string {
	return cmp.Or(c.reason, "no reason") + ": " + cmp.Or(cutMaybe(c.message), "no message")
}
