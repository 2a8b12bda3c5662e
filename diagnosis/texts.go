package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// known is a text that identifies a cause wherever it is found.
type known struct {
	id   string
	find *lazyregexp.Regexp
	// say makes the sentence from the groups of find. Nil quotes the text.
	say func(groups []string) (message, remedy string)
}

// quota, Pod Security and the like are identified by the API server's own texts. The first
// text that fits an evidence counts, so those that quote others come first.
var knownTexts = []known{
	{"webhook-unreachable", lazyregexp.New(`failed calling webhook "([^"]+)": (.+)`), func(g []string) (_, _ string) {
		return fmt.Sprintf("the API server cannot call webhook %s: %s", g[1], g[2]), ""
	}},
	{"webhook-denied", lazyregexp.New(`admission webhook "([^"]+)" denied the request: (.+)`),
		func(g []string) (string, string) { return fmt.Sprintf("webhook %s refused it: %s", g[1], g[2]), "" }},
	{"webhook-denied", lazyregexp.New(`ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' denied request: (.+)`),
		func(g []string) (string, string) {
			return fmt.Sprintf("ValidatingAdmissionPolicy %s refused it: %s", g[1], g[2]), ""
		}},
	{"quota-exceeded", lazyregexp.New(`exceeded quota: ([^,]+), requested: (.+), used: (.+), limited: ([^\s"]+)`),
		func(g []string) (string, string) {
			return fmt.Sprintf("ResourceQuota %s allows %s, of which %s are used, and the Pod asks for %s",
				g[1], strings.TrimRight(g[4], "."), g[3], g[2]), ""
		}},
	{"quota-exceeded", lazyregexp.New(`failed quota: ([^:]+): must specify ([^\n"]+)`),
		func(g []string) (string, string) {
			return fmt.Sprintf("ResourceQuota %s demands that all containers specify %s", g[1],
					strings.TrimSuffix(cutMaybe(g[2]), ".")),
				"give steps these resources, for example with a LimitRange or the mutator's rule resources"
		}},
	{"limit-range", lazyregexp.New(
		`((?:minimum|maximum) [\w./-]+ usage per \w+ is \S+, but (?:request|limit) is [^\s,\]"]+|` +
			`[\w./-]+ max limit to request ratio per \w+ is [^\s,]+, but provided ratio is [^\s,\]"]+|` +
			`(?:minimum|maximum) [\w./-]+ usage per \w+ is \S+ +No (?:request|limit) is specified)`),
		func(g []string) (string, string) { return "a LimitRange does not allow the Pod: " + trimDot(g[1]), "" }},
	{"pod-security", lazyregexp.New(`violates PodSecurity "([^"]+)": (.+)`), func(g []string) (string, string) {
		return fmt.Sprintf("Pod Security %s of the namespace does not allow the Pod: %s", g[1], cutMaybe(g[2])), ""
	}},
	{"pod-security", lazyregexp.New(`unable to validate against any security context constraint: (.+)`),
		func(g []string) (string, string) {
			return "no security context constraint allows the Pod: " + cutMaybe(g[1]), ""
		}},
	{"service-account-missing", lazyregexp.New(`(?i)(?:serviceaccounts? "([^"]+)" not found|` +
		`error looking up service account [^/\s]+/([^\s:]+): .*not found)`), func(g []string) (string, string) {
		return fmt.Sprintf("ServiceAccount %s does not exist", g[1]+g[2]), ""
	}},
	{"task-missing", lazyregexp.New(
		`(?i)\b(task|pipeline|stepaction|clustertask)s?(?:\.tekton\.dev)? "([^"]+)" not found`),
		func(g []string) (string, string) {
			name := map[string]string{"task": "Task", "pipeline": "Pipeline", "stepaction": "StepAction",
				"clustertask": "ClusterTask"}[strings.ToLower(g[1])]
			return fmt.Sprintf("%s %s does not exist", name, g[2]), ""
		}},
	{"key-missing", lazyregexp.New(`couldn't find key (\S+) in (Secret|ConfigMap) [^\s/"]+/([^\s"]+)`),
		func(g []string) (string, string) {
			return fmt.Sprintf("%s %s has no key %s", g[2], trimDot(g[3]), g[1]), ""
		}},
	{"key-missing", lazyregexp.New(`references non-existent (secret|config) key: ([^\s"]+)`),
		func(g []string) (string, string) {
			return fmt.Sprintf("a volume names the key %s, which its %s lacks", trimDot(g[2]),
				map[string]string{"secret": "Secret", "config": "ConfigMap"}[g[1]]), ""
		}},
	{"secret-missing", lazyregexp.New(`(?i)\bsecrets? "([^"]+)" not found`), func(g []string) (string, string) {
		return fmt.Sprintf("Secret %s does not exist", lastPart(g[1])), ""
	}},
	{"config-map-missing", lazyregexp.New(`(?i)\bconfigmaps? "([^"]+)" not found`), func(g []string) (_, _ string) {
		return fmt.Sprintf("ConfigMap %s does not exist", lastPart(g[1])), ""
	}},
	{"claim-missing", lazyregexp.New(`(?i)\bpersistentvolumeclaims? "([^"]+)" not found`),
		func(g []string) (string, string) {
			return fmt.Sprintf("PersistentVolumeClaim %s does not exist", lastPart(g[1])), ""
		}},
	{"claims-on-two-nodes", lazyregexp.New(`Multi-Attach error for volume "([^"]+)"(.*)`),
		func(g []string) (string, string) {
			return fmt.Sprintf("volume %s is attached to another node:%s", g[1], g[2]), ""
		}},
	{"claims-on-two-nodes", lazyregexp.New(`more than one PersistentVolumeClaim`), nil},
	{"root-image", lazyregexp.New(`(container has runAsNonRoot and image will run as root|` +
		`container has runAsNonRoot and image has non-numeric user \([^)]*\)|` +
		`container's runAsUser breaks non-root policy)`), nil},
}

// trimDot removes what a quoting sentence puts behind a quoted text.
func trimDot(s string) string { return strings.TrimRight(s, `.,"`) }

// cutMaybe removes the guess that Tekton appends to the errors of a Pod's creation.
func cutMaybe(s string) string {
	s, _, _ = strings.Cut(s, ". Maybe ")
	return strings.TrimSuffix(s, ". Maybe")
}

// lastPart returns the name of namespace/name, as the kubelet writes it.
func lastPart(s string) string { return s[strings.LastIndex(s, "/")+1:] }

// byText returns the causes that the evidence's texts prove.
func (t *task) byText() []Cause {
	var causes []Cause
	for _, e := range t.evidence {
		if young(t) {
			continue
		}
		i := slices.IndexFunc(knownTexts, func(k known) bool { return k.find.MatchString(e.text) })
		if i < 0 {
			continue
		}
		c := knownCause(knownTexts[i], e.text)
		c.Run, c.Object, c.Container = t.key, e.object, e.container
		if claims := t.claims(); c.ID == "claims-on-two-nodes" && len(claims) > 0 {
			c.Message += ": " + strings.Join(claims, ", ")
		}
		if c.ID == "root-image" {
			c.Container, c.Message = t.rootImage(e)
		}
		causes = append(causes, c)
	}
	return oneEach(causes)
}

// knownCause returns the cause that a known text stands for.
func knownCause(k known, text string) Cause {
	groups := k.find.FindStringSubmatch(text)
	c := Cause{ID: k.id, Message: cutMaybe(text)}
	if k.say != nil {
		c.Message, c.Remedy = k.say(groups)
	}
	if k.id == "webhook-denied" {
		c.ID = webhookKind(groups[1])
	}
	c.Message = cutMaybe(c.Message)
	return c
}

// webhookKind tells whose webhook it is.
func webhookKind(name string) string {
	switch {
	case strings.HasSuffix(name, ".tekgate.dev"):
		return "webhook-tekgate"
	case strings.HasSuffix(name, ".tekton.dev"):
		return "webhook-tekton"
	}
	return "webhook-denied"
}

// oneEach keeps the first cause of each kind: the same failure is in the container's state,
// in the event and in the condition, and the first is the most exact.
func oneEach(causes []Cause) []Cause {
	var kept []Cause
	for _, c := range causes {
		same := func(k Cause) bool {
			return k.ID == c.ID && (k.Message == c.Message || k.Container == c.Container ||
				k.Container == "" || c.Container == "")
		}
		if !slices.ContainsFunc(kept, same) {
			kept = append(kept, c)
		}
	}
	return kept
}

// young reports whether what holds a run up may resolve itself: what a Pod waits for is often
// made in the same moment.
func young(t *task) bool {
	return !t.condition.failed() && t.age() < grace
}

// rootImage says which image runs as root, and who forbids it.
func (t *task) rootImage(e evidence) (container, message string) {
	container = e.container
	if m := inQuotes.FindStringSubmatch(e.text); container == "" && m != nil {
		container = "step-" + m[1]
	}
	reason := "its user is root, and the container must not be root"
	if strings.Contains(e.text, "non-numeric user") {
		reason = "its user is a name, and without a number the kubelet cannot see that it is not root"
	}
	subject := "its image"
	if img := t.image(container); img != "" {
		subject = "image " + img
	}
	by := "runAsNonRoot, which the feature flag set-security-context or the run's podTemplate sets"
	return container, fmt.Sprintf("%s cannot be started under %s: %s", subject, by, reason)
}

// inQuotes finds the step in a message of Tekton's such as: the step "build" in TaskRun "x" failed.
var inQuotes = lazyregexp.New(`(?:the )?step "([^"]+)" in TaskRun`)
