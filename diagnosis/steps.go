package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

var (
	commandMissing = lazyregexp.New(`exec: "([^"]+)": (?:executable file not found|stat [^:]+: no such file|permission denied|no such file)|` +
		`(?:fork/exec|exec) ([^\s:"]+): (?:no such file or directory|permission denied)`)
	wrongBinary = lazyregexp.New(`exec format error`)
	evictions   = lazyregexp.New(`(?i)the node was low on resource|exceeds? the total limit of (?:volumes|containers)|` +
		`Usage of EmptyDir volume .* exceeds the limit`)
)

// byContainer reports containers that cannot be created, that the kernel killed, and Pods that
// the node ended.
func (t *task) byContainer() []Cause {
	if causes := t.byNode(); len(causes) > 0 {
		return causes
	}
	if causes := t.byMemory(); len(causes) > 0 {
		return causes
	}
	for _, e := range t.evidence {
		creation := slices.Contains([]string{"CreateContainerConfigError", "CreateContainerError", "RunContainerError"},
			e.reason) || strings.Contains(e.text, "failed to start. The pod errored with the message") ||
			e.origin == fromEvent && e.object == t.podKey && e.reason == "Failed" && commandMissing.MatchString(e.text)
		if !creation || e.text == "" || young(t) {
			continue
		}
		if knownText(e.text) {
			return nil // byText says more
		}
		container := e.container
		if m := inQuotes.FindStringSubmatch(e.text); container == "" && m != nil {
			container = "step-" + m[1]
		}
		return []Cause{t.creationCause(e.object, container, e.text)}
	}
	for _, c := range t.containers {
		if c.ended != nil && !c.stopped && (c.ended.reason == "StartError" || c.ended.reason == "ContainerCannotRun") {
			return []Cause{t.creationCause(t.podKey, c.name, c.ended.message)}
		}
	}
	return t.byRestarts()
}

// byRestarts reports a sidecar that ends again and again before a step starts: steps wait for it.
func (t *task) byRestarts() []Cause {
	started := func(c container) bool { return isStep(c.name) && c.started }
	if t.condition.failed() || slices.ContainsFunc(t.containers, started) {
		return nil
	}
	for _, c := range t.containers {
		switch {
		case c.last == nil || c.waiting == nil || c.waiting.reason != "CrashLoopBackOff":
			continue
		case c.last.reason == "StartError" || c.last.reason == "ContainerCannotRun":
			return []Cause{t.creationCause(t.podKey, c.name, c.last.message)}
		}
		message := fmt.Sprintf("it ends again and again (exit code %d, %s), and steps wait until it runs", c.last.code,
			cmp.Or(c.last.reason, "no reason"))
		remedy := fmt.Sprintf("see the log: kubectl logs -n %s %s -c %s --previous", t.key.Namespace, t.podKey.Name,
			c.name)
		return []Cause{t.cause("exit-code", t.podKey, c.name, message, remedy)}
	}
	return nil
}

func (t *task) creationCause(object Key, container, message string) Cause {
	if wrongBinary.MatchString(message) {
		return t.cause("binary-platform", object, container, t.foreignBinary(container), "")
	}
	if m := commandMissing.FindStringSubmatch(message); m != nil {
		message, remedy := t.noCommand(container, m)
		return t.cause("command-missing", object, container, message, remedy)
	}
	return t.cause("container-config", object, container, message, "")
}

// noCommand says why a program was not started: it is not there, may not be run, or is a script
// of Tekton whose interpreter is not there.
func (t *task) noCommand(container string, groups []string) (message, remedy string) {
	subject, program := cmp.Or(imageText(t.image(container)), "its image"), cmp.Or(groups[1], groups[2])
	switch {
	case strings.Contains(groups[0], "permission denied"):
		return program + " may not be executed: permission denied",
			"make the file executable (chmod +x), or name the program that runs it"
	case !strings.HasPrefix(program, scripts):
		return fmt.Sprintf("%s has no program %s", subject, program), ""
	}
	first := t.firstLine(container)
	switch {
	case strings.HasSuffix(first, "\r"):
		return "the first line of its script ends with a carriage return, which is taken for a part of the " +
			"interpreter's name", "write the script with line ends of Unix"
	case first != "":
		return fmt.Sprintf("%s has no program for the script's first line, %s", subject, first),
			"name an interpreter that the image has in the first line, or use an image that has this one"
	}
	return subject + " has no program for the first line of the step's script",
		"name an interpreter that the image has in the first line, or use an image that has this one"
}

// scripts is where Tekton writes the scripts of steps.
const scripts = "/tekton/scripts/"

// firstLine returns the first line of a step's script, if it names an interpreter.
func (t *task) firstLine(container string) string {
	for _, s := range t.steps() {
		if line, _, _ := strings.Cut(text(s, "script"), "\n"); "step-"+text(s, "name") == container &&
			strings.HasPrefix(line, "#!") {
			return line
		}
	}
	return ""
}

func (t *task) foreignBinary(container string) string {
	return fmt.Sprintf("a program of %s is for another architecture than the node (exec format error)",
		cmp.Or(imageText(t.image(container)), "its image"))
}

func imageText(image string) string {
	if image == "" {
		return ""
	}
	return "image " + image
}

// byNode reports a Pod that the node ended.
func (t *task) byNode() []Cause {
	reason, message := text(podObject(t.pod), "status", "reason"), text(podObject(t.pod), "status", "message")
	switch {
	case reason == "Evicted", t.condition.reason == "PodEvicted",
		t.condition.failed() && evictions.MatchString(t.condition.message):
		return []Cause{t.cause("pod-evicted", t.podKey, "", cmp.Or(message, t.condition.message),
			t.stuck("free the resource that the message names, or request it"))}
	case slices.Contains([]string{"NodeLost", "NodeShutdown", "Shutdown", "Terminated", "Preempting"}, reason):
		return []Cause{t.cause("node-lost", t.podKey, "", reason+": "+cmp.Or(message, t.condition.message),
			t.stuck("start the run again"))}
	case t.lostNode() != "":
		return []Cause{t.cause("node-lost", t.podKey, "", t.lostNode(), "")}
	case t.deleted() != "":
		return []Cause{t.cause("pod-deleted", t.podKey, "", t.deleted(), "")}
	}
	return nil
}

// stuck returns the remedy for a run whose Pod the node ended; "" is that of the kind. The controller cannot
// record a container of which the kubelet knows no times: the definition of TaskRuns allows no null there
// (Tekton Pipelines v1.15.1), and the run stays Running.
func (t *task) stuck(remedy string) string {
	if t.condition.failed() || t.condition.succeeded() {
		return ""
	}
	for _, c := range list(podObject(t.pod), "status", "containerStatuses") {
		if ended := fields(c, "state", "terminated"); ended != nil && text(ended, "startedAt") == "" {
			return fmt.Sprintf("delete the run, which Tekton cannot end since the times of container %s are unknown "+
				"(`kubectl delete taskrun %s -n %s`), and %s", text(c, "name"), t.key.Name, t.key.Namespace, remedy)
		}
	}
	return ""
}

// disruption returns why the Pod was ended from outside, as its condition DisruptionTarget says.
func (t *task) disruption() (reason, message string) {
	for _, c := range list(podObject(t.pod), "status", "conditions") {
		if text(c, "type") == "DisruptionTarget" && text(c, "status") == "True" {
			return cmp.Or(text(c, "reason"), "DisruptionTarget"), text(c, "message")
		}
	}
	return "", ""
}

// lostNode says that the Pod was deleted because its node is gone or does not answer; "" if not.
func (t *task) lostNode() string {
	reason, message := t.disruption()
	if !t.condition.failed() || reason != "DeletionByTaintManager" && reason != "DeletionByPodGC" {
		return ""
	}
	return reason + ": " + message
}

// deleted says by whom a Pod was deleted that Tekton did not end itself; "" if it was not.
func (t *task) deleted() string {
	byTekton := strings.HasPrefix(t.condition.reason, "TaskRun") && t.condition.reason != "TaskRunFailed"
	if !t.condition.failed() || byTekton {
		return ""
	}
	if reason, message := t.disruption(); reason != "" {
		return "it was deleted while it ran: " + reason + ": " + message
	}
	step := t.failedStep()
	gone := t.pod == nil || t.pod.GetDeletionTimestamp() != nil
	if step != nil && gone && t.killed(step.name) {
		return "it was deleted while it ran, not by Tekton"
	}
	return ""
}

// killed reports whether the kubelet ended a container before it ended by itself, as it does when
// the Pod is deleted.
func (t *task) killed(container string) bool {
	created, finished := t.obj.GetCreationTimestamp().UTC().Format(time.RFC3339), ""
	for _, s := range list(t.obj.Object, "status", "steps") {
		if text(s, "container") == container {
			finished = text(s, "terminated", "finishedAt")
		}
	}
	return slices.ContainsFunc(t.state.Kind("Event"), func(e *unstructured.Unstructured) bool {
		return eventObject(e) == t.podKey && text(e.Object, "reason") == "Killing" && eventTime(e) >= created &&
			eventContainer(e) == container && (finished == "" || eventTime(e) <= finished)
	})
}

// memoryReasons are the reasons of conditions after the kernel ended a container.
var memoryReasons = []string{"StepOOM", "SidecarOOM", "InitContainerOOM"}

// byMemory reports containers that used more memory than they may.
func (t *task) byMemory() []Cause {
	limits := map[string]string{}
	for _, field := range []string{"initContainers", "containers"} {
		for _, c := range list(podObject(t.pod), "spec", field) {
			limits[text(c, "name")] = text(c, "resources", "limits", "memory")
		}
	}
	for _, c := range t.containers {
		last := c.last != nil && c.last.reason == "OOMKilled" && c.waiting != nil
		if !last && (c.ended == nil || c.ended.reason != "OOMKilled") {
			continue
		}
		message := "it used more memory than it may, and was killed (OOMKilled)"
		if limit := limits[c.name]; limit != "" {
			message = "it used more memory than its limit of " + limit + ", and was killed (OOMKilled)"
		}
		return []Cause{t.cause("oom-killed", t.podKey, c.name, message, "")}
	}
	if t.condition.failed() && (slices.Contains(memoryReasons, t.condition.reason) ||
		strings.Contains(t.condition.message, "OOMKilled")) {
		return []Cause{t.cause("oom-killed", t.key, "", t.condition.message, "")}
	}
	return nil
}

// failedStep returns the container that made the run fail, in the order of the steps.
func (t *task) failedStep() *container {
	for _, s := range list(t.obj.Object, "status", "steps") {
		code, _, _ := unstructured.NestedInt64(s, "terminated", "exitCode")
		name := cmp.Or(text(s, "container"), "step-"+text(s, "name"))
		why := text(s, "terminationReason")
		// A step with onError: continue has its code and the reason Completed; older releases do not
		// write terminationReason.
		ignored := why == "" && text(s, "terminated", "reason") == "Completed"
		if code == 0 || ignored || slices.Contains([]string{"Skipped", "Continued", "Cancelled"}, why) ||
			strings.HasPrefix(text(s, "terminated", "reason"), "TaskRun") {
			continue
		}
		if c := t.container(name); c != nil && c.ended != nil && why == "" {
			return c
		}
		return &container{name: name, started: true, ended: &state{cmp.Or(why, text(s, "terminated", "reason")),
			text(s, "terminated", "message"), code}}
	}
	for i, c := range t.containers {
		if c.ended != nil && !c.stopped && c.ended.code != 0 && !strings.HasPrefix(c.ended.reason, "TaskRun") {
			return &t.containers[i]
		}
	}
	return nil
}

// FailedContainers returns the containers whose logs may say why a run failed, in State.Logs'
// form without their texts. Only containers whose Pods are still there are among them.
func FailedContainers(state *State, run Key) []Log {
	obj := state.objects[run]
	if obj == nil {
		return nil
	}
	runs := []*unstructured.Unstructured{obj}
	if run.Kind == "PipelineRun" {
		runs = Children(state, obj)
	}
	var logs []Log
	for _, run := range runs {
		t := newTask(state, run)
		if step := t.failedStep(); step != nil && t.pod != nil && t.condition.failed() {
			logs = append(logs, Log{Namespace: t.key.Namespace, Pod: t.podKey.Name, Container: step.name})
		}
	}
	return logs
}

// byStep reports why a step's program ended with an error, as far as its log says so in words
// that are known.
func (t *task) byStep() []Cause {
	if !t.condition.failed() {
		return nil
	}
	step := t.failedStep()
	if step == nil {
		return nil
	}
	if cause := t.byTekton(step); cause != nil {
		return []Cause{*cause}
	}
	return t.byLog(step)
}

const resultTooLarge = "its results are larger than the 4096 bytes that fit into a termination message"

// byTekton reports what Tekton says of a failed step.
func (t *task) byTekton(step *container) *Cause {
	const tooLarge = "above max allowed size"
	var c Cause
	switch {
	case step.ended.reason == "TimeoutExceeded",
		strings.Contains(t.condition.message, "exceeded the specified timeout limit"):
		message := "it took longer than the step's timeout" + t.stepTimeout(step.name)
		c = t.cause("step-timeout", t.key, step.name, message, "")
	case strings.Contains(step.ended.message, tooLarge), strings.Contains(t.condition.message, tooLarge):
		c = t.cause("result-too-large", t.key, step.name, resultTooLarge, "")
	default:
		return nil
	}
	return &c
}

// byLog looks for known lines in the log of a failed step.
func (t *task) byLog(step *container) []Cause {
	lines := lastLines(t.log(step.name))
	for _, k := range logTexts {
		for i := len(lines) - 1; i >= 0; i-- {
			m := k.find.FindStringSubmatch(lines[i])
			if m == nil || k.last > 0 && len(lines)-i > k.last {
				continue
			}
			c := t.cause(k.id, t.podKey, step.name, lines[i], "")
			if k.say != nil {
				c.Message, c.Remedy = k.say(t, step.name, lines[i], m)
			}
			return []Cause{c}
		}
	}
	return nil
}

// stepTimeout returns the timeout of a step as it is written.
func (t *task) stepTimeout(container string) string {
	for _, at := range [][]string{{"status", "taskSpec"}, {"spec", "taskSpec"}} {
		for _, s := range list(fields(t.obj.Object, at...), "steps") {
			if "step-"+text(s, "name") == container && text(s, "timeout") != "" {
				return " of " + text(s, "timeout")
			}
		}
	}
	return ""
}

// logText is a known line of a program's log.
type logText struct {
	id   string
	find *lazyregexp.Regexp
	// last limits the search to the last lines, for texts that programs also print on the way.
	// Zero is for texts that programs print only if they fail: usage may follow.
	last int
	say  func(t *task, container, line string, groups []string) (message, remedy string)
}

// The texts of a refused push. Not among them: a file that may not be run ("./push.sh: Permission
// denied"), S3 and Git. A number is a status only behind a space or the like: build numbers are tags.
const (
	pushWords   = `(?:(?:^|[\s"'\[(])push(?:ing)?(?:$|[\s:"'])|blob upload|layer upload|upload\w* (?:of )?(?:blob|layer|manifest)s?\b)`
	pushRequest = `(?:POST|PUT|PATCH|HEAD) "?https?://\S+/v2/`
	refused     = `(?:UNAUTHORIZED|\bdenied: |[^n] denied\b|authentication required|no basic auth credentials|` +
		`insufficient_scope|(?:status(?: code)?|registry|response|HTTP(?:/[\d.]+)?|:) 40[13]\b|40[13] (?:unauthorized|forbidden))`
)

var logTexts = []logText{
	{"binary-platform", wrongBinary, 5, func(t *task, container, _ string, _ []string) (string, string) {
		return t.foreignBinary(container), ""
	}},
	{"result-too-large", lazyregexp.New(`Termination message is above max allowed size`), 3,
		func(_ *task, _, _ string, _ []string) (string, string) { return resultTooLarge, "" }},
	{"disk-full", lazyregexp.New(`(?i)no space left on device|disk quota exceeded`), 10, nil},
	{"push-failed", lazyregexp.New(`(?i)(?:` + pushWords + `|` + pushRequest + `).*(?:will exceed the configured upper limit|` +
		`quota (?:has been )?exceeded|is immutable|configured as immutable|read-?only|client with IP)`), 0, nil},
	{"push-unauthorized", lazyregexp.New(`(?i)` + pushWords + `.*` + refused), 0, (*task).pushRefused},
	{"push-unauthorized", lazyregexp.New(`(?i)` + pushRequest + `.*` + refused), 5, (*task).pushRefused},
	{"git-host-key", lazyregexp.New(`Host key verification failed`), 10, (*task).noHostKey},
	{"git-credentials", gitRefused, 15, (*task).gitRefused},
	{"registry-certificate", lazyregexp.New(`(?i)x509: .*|server certificate verification failed|SSL certificate problem`), 10, nil},
	{"dockerfile-missing", lazyregexp.New(`(?i)error resolving dockerfile path.*|failed to read dockerfile.*`), 0,
		(*task).noDockerfile},
	{"base-image", lazyregexp.New(`error building image:.*(?:retrieving image|failed to get filesystem|` +
		`unable to complete operation|image not found on any|MANIFEST_UNKNOWN|UNAUTHORIZED)`), 10, (*task).baseImage},
	{"kaniko-run-failed", lazyregexp.New(`error building image:.*failed to execute command: (.*)`), 10,
		func(_ *task, _, _ string, g []string) (string, string) {
			return "a RUN instruction of the Dockerfile failed: " + g[1], ""
		}},
	{"kaniko-build-failed", lazyregexp.New(`error building image: (.*)`), 5,
		func(_ *task, _, _ string, g []string) (string, string) {
			return "Kaniko cannot build the Dockerfile: " + g[1], ""
		}},
	{"push-failed", lazyregexp.New(`error (?:checking push permissions|pushing image).*`), 10, nil},
	{"command-missing", commandMissing, 3, func(t *task, container, _ string, g []string) (string, string) {
		return t.noCommand(container, g)
	}},
	{"host-unreachable", lazyregexp.New(`(?i)could not resolve host|(?:^|: )dial tcp .*(?:no such host|i/o timeout|refused|unreachable)|` +
		`failed to connect to \S+ port|connection timed out`), 4, nil},
}

// noDockerfile says which file Kaniko was told to build.
func (t *task) noDockerfile(container, line string, _ []string) (message, remedy string) {
	file := "Dockerfile"
	words := t.words(container)
	if i := slices.Index(words, "--"); i >= 0 { // before it are the words of Tekton's entrypoint
		words = words[i+1:]
	}
	for _, setting := range kaniko.Parse(words) {
		if setting.Flag != nil && setting.Flag.Name == "dockerfile" && setting.Value != "" {
			file = setting.Value
		}
	}
	return fmt.Sprintf("Kaniko does not find %s in its context: %s", file, line), ""
}

// words returns the command and arguments of a container.
func (t *task) words(container string) []string {
	var words []string
	for _, c := range t.specs() {
		if text(c, "name") == container || "step-"+text(c, "name") == container {
			for _, field := range []string{"command", "args"} {
				some, _, _ := unstructured.NestedStringSlice(c, field)
				words = append(words, some...)
			}
		}
	}
	return words
}

// retrieved finds the image that Kaniko asks for.
var retrieved = lazyregexp.New(`Retrieving image (?:manifest )?(\S+)`)

// baseImage says which image Kaniko could not read.
func (t *task) baseImage(container, line string, _ []string) (message, remedy string) {
	name := "a base image of the Dockerfile"
	for _, line := range lastLines(t.log(container)) {
		if m := retrieved.FindStringSubmatch(line); m != nil {
			name = "the base image " + m[1]
		}
	}
	if strings.Contains(line, "index.docker.io") {
		remedy = "Kaniko names Docker Hub even where a mirror refused: name the base image by the mirror, " +
			"or set the mutator's kaniko.registryMap"
	}
	return "Kaniko cannot read " + name + ": " + line, remedy
}

// longestLine and mostLines limit what is searched of a log: a line may be a whole file.
const (
	longestLine = 8 << 10 // bytes
	mostLines   = 2000
)

// lastLines returns the lines of the end of a log that are not empty. Of a long line it returns both ends.
func lastLines(log string) []string {
	lines := strings.Split(log, "\n")
	lines = lines[max(0, len(lines)-mostLines):]
	var kept []string
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if len(line) > longestLine {
			line = line[:longestLine/2] + " … " + line[len(line)-longestLine/2:]
		}
		kept = append(kept, line)
	}
	return kept
}

// exitCodes are what exit codes mean by convention.
var exitCodes = map[int64]string{
	126: "the command is not executable",
	127: "the shell did not find a command",
	137: "it was killed (SIGKILL), for example by the kernel for memory",
	139: "it crashed (SIGSEGV)",
	143: "it was asked to end (SIGTERM)",
}

// byExit reports a step that ended with an error which no rule knows.
func (t *task) byExit() []Cause {
	step := t.failedStep()
	if step == nil || !t.condition.failed() {
		return nil
	}
	message := fmt.Sprintf("it exited with code %d", step.ended.code)
	if why := exitCodes[step.ended.code]; why != "" {
		message += ": " + why
	}
	if lines := lastLines(t.log(step.name)); len(lines) > 0 {
		message += "; its log ends: " + lines[len(lines)-1]
	}
	remedy := fmt.Sprintf("see the log: kubectl logs -n %s %s -c %s", t.key.Namespace, t.podKey.Name, step.name)
	if t.pod == nil {
		remedy = "the Pod is gone: see the log where your cluster keeps logs"
	}
	return []Cause{t.cause("exit-code", t.podKey, step.name, message, remedy)}
}
