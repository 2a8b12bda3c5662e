package diagnosis

import (
	"fmt"
	"strings"

	"github.com/tekgate/tekgate/internal/display"
)

// schedulerTexts are parts of the scheduler's messages, in the order in which they count: a
// message lists a reason for each node, and a volume that binds the Pod to one node makes the
// other nodes' reasons pointless.
var schedulerTexts = []struct{ id, text string }{
	{"scheduling-gated", "scheduling gates"},
	{"claims-on-two-nodes", "volume node affinity conflict"},
	{"claims-on-two-nodes", "didn't match PersistentVolume's node affinity"}, // from Kubernetes v1.35 on
	{"claims-on-two-nodes", "no available volume zone"},
	{"claims-on-two-nodes", podAffinity},
	{"claim-pending", "unbound immediate PersistentVolumeClaims"},
	{"claim-pending", "didn't find available persistent volumes to bind"},
	{"claim-pending", "being deleted"},
	// The scheduler counts resources only on nodes that fit otherwise.
	{"node-resources", "Insufficient "},
	{"node-resources", "Too many pods"},
	{"node-selector", "didn't match Pod's node affinity/selector"},
	{"node-selector", "didn't match node selector"},
	{"node-taint", "untolerated taint"},
	{"node-taint", "that the pod didn't tolerate"},
	{"node-taint", "were unschedulable"},
}

// podAffinity is what the affinity assistant of a claim causes, and a podTemplate's own podAffinity.
const podAffinity = "didn't match pod affinity rules"

// byScheduling reports why no node takes the Pod, and why volumes are not mounted.
func (t *task) byScheduling() []Cause {
	for _, e := range t.evidence {
		if young(t) {
			continue
		}
		volume := e.origin == fromEvent && (e.reason == "FailedMount" || e.reason == "FailedAttachVolume")
		if e.origin == fromEvent && e.reason == "FailedCreatePodSandBox" {
			return []Cause{t.cause("pod-sandbox", e.object, "", e.text, "")}
		}
		if volume && !knownText(e.text) {
			return []Cause{t.cause("volume-failed", e.object, "", e.text, "")}
		}
		scheduler := e.reason == "FailedScheduling" || e.reason == "Unschedulable" || e.reason == "SchedulingGated" ||
			e.origin == fromCondition && t.condition.reason == "ExceededNodeResources" ||
			strings.Contains(e.text, `"PodScheduled":"False"`) || strings.Contains(e.text, "nodes are available:") || strings.Contains(e.text, "scheduling gates")
		if !scheduler || knownText(e.text) || t.anyStarted() && e.origin != fromCondition {
			continue
		}
		return []Cause{t.schedulerCause(e)}
	}
	return nil
}

func (t *task) schedulerCause(e evidence) Cause {
	message := e.text
	for _, known := range schedulerTexts {
		if !strings.Contains(message, known.text) {
			continue
		}
		if known.text == podAffinity && t.pod != nil && len(t.claims()) == 0 {
			known.id = "node-selector"
		}
		if known.id == "claims-on-two-nodes" {
			message = "no node can use all of its volumes: " + e.text
			if claims := t.claims(); len(claims) > 0 {
				message = fmt.Sprintf("no node can use all of its volumes (%s): %s", strings.Join(claims, ", "), e.text)
			}
		}
		if known.id == "node-taint" {
			message += t.taints()
		}
		if known.id == "claim-pending" && len(t.claims()) > 0 {
			message = fmt.Sprintf("it waits for %s: %s", strings.Join(t.claims(), ", "), message)
		}
		return t.cause(known.id, t.podKey, "", message, "")
	}
	return t.cause("unschedulable", t.podKey, "", message, "")
}

// taints returns the taints of the nodes that were read.
func (t *task) taints() string {
	var all []string
	for _, node := range t.state.Kind("Node") {
		for _, taint := range list(node.Object, "spec", "taints") {
			all = append(all, fmt.Sprintf("%s: %s=%s:%s", node.GetName(), text(taint, "key"), text(taint, "value"),
				text(taint, "effect")))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " (taints: " + display.AndMore(all, 5) + ")"
}

// claims returns the claims that the Pod mounts.
func (t *task) claims() []string {
	var names []string
	for _, v := range list(podObject(t.pod), "spec", "volumes") {
		if name := text(v, "persistentVolumeClaim", "claimName"); name != "" {
			names = append(names, "PersistentVolumeClaim "+name)
		}
	}
	for _, w := range list(t.obj.Object, "spec", "workspaces") {
		name := text(w, "persistentVolumeClaim", "claimName")
		if name != "" && t.pod == nil {
			names = append(names, "PersistentVolumeClaim "+name)
		}
	}
	return names
}
