package installer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kube"
)

// Loss is a field of an object in the cluster that an install removes or replaces, and that
// no release is known to have set: most of them are changes of the user's.
type Loss struct {
	Object string `json:"object"`
	// Field is its path: elements of lists are named by their names, arguments by their flags.
	Field string `json:"field"`
	// Value is what the cluster has; empty for whole objects, and where it may be a secret.
	Value string `json:"value,omitempty"`
	// Becomes is what replaces it; empty if it is removed, and where it may be a secret.
	Becomes string `json:"becomes,omitempty"`
	Removed bool   `json:"removed"`
	// Applied says that the field was in the manifest that kubectl applied, and that the release
	// which this manifest was made of is not known: it may be the release's own.
	Applied bool `json:"applied,omitempty"`
}

func (l Loss) String() string {
	whose := l.Field
	if l.Value != "" {
		whose += fmt.Sprintf(" (%s)", l.Value)
	}
	if l.Applied {
		whose += ", which kubectl applied,"
	} else {
		whose = "your " + whose
	}
	switch {
	case l.Removed:
		return fmt.Sprintf("%s: %s is removed", l.Object, whose)
	case l.Becomes != "":
		return fmt.Sprintf("%s: %s is replaced with %s", l.Object, whose, l.Becomes)
	}
	return fmt.Sprintf("%s: %s is replaced with the release's", l.Object, whose)
}

// lossNote follows the losses of a plan.
const lossNote = "Tekgate does not keep these fields: declare them in the configuration if it has them, " +
	"or set them again after the install"

// findLosses adds to the plan what it takes from the cluster, and a note about each.
func (p *Plan) findLosses(previous []*unstructured.Unstructured) {
	released := map[string][]*unstructured.Unstructured{}
	known := slices.Clone(previous)
	if p.Previous != nil {
		known = slices.Concat(known, p.Previous.Objects, p.Previous.Attempted)
	}
	for _, obj := range known {
		released[kube.Identity(obj)] = append(released[kube.Identity(obj)], obj)
	}
	upstream := p.upstreamNames()
	for _, change := range p.changes {
		p.Losses = append(p.Losses, change.losses(released[kube.Identity(change.Rendered)], upstream)...)
	}
	for _, loss := range p.Losses {
		p.Notes = append(p.Notes, loss.String())
	}
	if len(p.Losses) > 0 {
		p.Notes = append(p.Notes, lossNote)
	}
}

// losses returns what a change takes from the cluster. released are the object's versions in
// the releases that it may come from.
func (ch *Change) losses(released []*unstructured.Unstructured, upstream map[string]image.Reference) []Loss {
	if ch.Live == nil || ch.After == nil || ch.recreate || !mayBeEdited(ch.Live) {
		return nil
	}
	current, after := leavesOf(ch.Live), leavesOf(ch.After)
	applied := leavesOf(lastApplied(ch.Live))
	bases := make([]leaves, 0, len(released))
	for _, obj := range released {
		bases = append(bases, leavesOf(obj))
	}
	if len(bases) == 0 && ch.takeover == nil {
		return nil // what Tekgate wrote itself, and lost its inventory about
	}
	images := imagesByLeaf(ch.Live)
	var found []Loss
	for _, path := range slices.Sorted(maps.Keys(current)) {
		value := current[path]
		becomes, stays := after[path]
		switch {
		case stays && sameValue(becomes, value), serverWrites(path):
		case slices.ContainsFunc(bases, func(b leaves) bool { return b.sets(path, value) }):
		case images[path].follows(becomes, stays, len(bases) > 0, upstream):
		default:
			found = appendLoss(found, loss(ch, path, value, becomes, stays, bases, after, applied))
		}
	}
	if len(bases) == 0 {
		found = slices.DeleteFunc(found, func(l Loss) bool { return l.Applied && !usersOwn(l.Field) })
	}
	return found
}

// sets reports whether a release has this value.
func (l leaves) sets(path, value string) bool {
	was, ok := l[path]
	return ok && sameValue(was, value)
}

func loss(ch *Change, path, value, becomes string, stays bool, bases []leaves, after, applied leaves) Loss {
	l := Loss{Object: kube.Name(ch.Live), Field: path, Value: value, Becomes: becomes, Removed: !stays,
		Applied: len(bases) == 0 && applied.sets(path, value)}
	if l.Removed {
		for _, above := range ancestors(path) {
			unknown := !slices.ContainsFunc(bases, func(b leaves) bool { return b.has(above) })
			if unknown && !after.has(above) {
				l.Field, l.Value = above, ""
				break
			}
		}
	}
	if maySecret(path) {
		l.Value, l.Becomes = "", ""
	}
	l.Value, l.Becomes = short(l.Value), short(l.Becomes)
	return l
}

// appendLoss appends a loss unless the last one is about the same field.
func appendLoss(found []Loss, l Loss) []Loss {
	if n := len(found); n > 0 && found[n-1].Field == l.Field {
		return found
	}
	return append(found, l)
}

// short cuts a value to what fits into a message.
func short(value string) string {
	if first, _, more := strings.Cut(value, "\n"); more || len(value) > 60 {
		return fmt.Sprintf("%.57s…", first)
	}
	return value
}

// mayBeEdited reports whether fields of an object are compared. ConfigMaps are merged key by
// key, Secrets are not shown, and Tekton's servers write webhook configurations and definitions.
func mayBeEdited(obj *unstructured.Unstructured) bool {
	switch obj.GetKind() {
	case "ConfigMap", "Secret":
		return false
	}
	return !manifest.IsDefinition(obj) && !manifest.IsWebhookConfiguration(obj)
}

// maySecret reports whether the value at a path may be a secret.
func maySecret(path string) bool {
	return strings.Contains(path, ".env[") || strings.Contains(path, ".args[") ||
		strings.Contains(path, "annotations[") || strings.Contains(path, ".command")
}

// serverWrites reports whether a field is one that the server, a controller or each release
// writes.
func serverWrites(path string) bool {
	for _, label := range []string{"version", "app.kubernetes.io/version", "kubernetes.io/metadata.name"} {
		if strings.HasSuffix(path, "labels["+label+"]") {
			return true
		}
	}
	return strings.HasSuffix(path, ".tekton.dev/release]") ||
		strings.HasPrefix(path, "metadata.annotations["+lastAppliedAnnotation) ||
		strings.HasPrefix(path, "metadata.annotations[deployment.kubernetes.io/") ||
		strings.HasSuffix(path, "annotations[kubectl.kubernetes.io/restartedAt]") ||
		path == "spec.clusterIP" || strings.HasPrefix(path, "spec.clusterIPs")
}

// usersOwn reports whether users rather than releases change a field. It matters where the
// release that was installed is not known, and so not what it has set.
func usersOwn(path string) bool {
	for _, part := range []string{"imagePullSecrets", "nodeSelector", "tolerations", "affinity", "spec.replicas", "resources",
		"priorityClassName", "hostAliases", "dnsConfig", "hostNetwork", ".env[", ".args[", "containers[", "volumes[",
		"annotations[", "spec.type", "nodePort", "minReplicas", "maxReplicas"} {
		if strings.Contains(path, part) {
			return true
		}
	}
	return false
}

// writtenImage is an image in an object of the cluster.
type writtenImage struct {
	ref    image.Reference
	origin manifest.Origin
	known  bool // whether origin is
}

// follows reports whether an image of a release gives way to one of the new release: to the
// same program, or because the new release has it no more. known says that the release which
// the image may come from is known.
func (w writtenImage) follows(becomes string, stays, known bool, upstream map[string]image.Reference) bool {
	if w.ref.Path == "" {
		return false // it is no image
	}
	before := w.ref
	if w.known {
		before = w.origin.Image
	}
	if to, err := image.Parse(becomes); stays && err == nil {
		if after, ok := upstream[to.String()]; ok && compareImages(before, after) != ImageReplaced {
			return true
		}
	}
	_, _, tekton := before.Tekton()
	return !stays && tekton || !known && manifest.IsPublished(before)
}
