package installer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/fluxcd/pkg/ssa"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/kube"
)

// Difference is what applying an object would do.
type Difference struct {
	// Subject names the object: kind, namespace and name.
	Subject string     `json:"object"`
	Action  ssa.Action `json:"action"`
	// Text is a unified diff of the object's YAML, the cluster's against what
	// it would become; empty unless the action is "configured". The values of
	// Secrets are masked.
	Text string `json:"diff,omitempty"`
	// Yours are the lines that the cluster has otherwise than the release that
	// is installed: changed by you or by somebody else since.
	Yours string `json:"yours,omitempty"`
	// Images are the images that it replaces.
	Images []ImageChange `json:"images,omitempty"`
	// Unchecked says why the server could not be asked.
	Unchecked string `json:"unchecked,omitempty"`
}

// Differences says what the plan would do, object by object: three ways, for
// the release that is installed, the cluster and what it would become.
func (p *Plan) Differences() ([]Difference, error) {
	previous := map[string]*unstructured.Unstructured{}
	if p.Previous != nil {
		for _, obj := range p.Previous.Objects {
			previous[kube.Identity(obj)] = obj
		}
	}
	upstream := p.upstreamNames()
	differences := make([]Difference, 0, len(p.changes)+len(p.Prune))
	for _, change := range p.changes {
		d := Difference{Subject: kube.Name(change.Desired), Action: change.Action, Unchecked: change.Unchecked,
			Images: change.imageChanges(upstream)}
		var err error
		if change.Live != nil && change.Action == ssa.ConfiguredAction {
			d.Text, err = unified(d.Subject, change.Live, change.expected())
		}
		if err != nil {
			return nil, fmt.Errorf("comparing %s with the cluster: %w", d.Subject, err)
		}
		if before := previous[kube.Identity(change.Desired)]; before != nil && change.Live != nil {
			d.Yours = changedSince(before, change.Live)
		}
		differences = append(differences, d)
	}
	for _, obj := range p.Prune {
		differences = append(differences, Difference{Subject: kube.Name(obj), Action: ssa.DeletedAction})
	}
	return differences, nil
}

// expected is what the server would make of an object; where it was not asked,
// what is applied.
func (ch *Change) expected() *unstructured.Unstructured {
	if ch.After != nil {
		return ch.After
	}
	return ch.Desired
}

// unified compares two versions of an object as people read them.
func unified(subject string, before, after *unstructured.Unstructured) (string, error) {
	var texts [2]string
	for i, obj := range []*unstructured.Unstructured{before, after} {
		text, err := yaml.Marshal(readable(obj))
		if err != nil {
			return "", err
		}
		texts[i] = string(text)
	}
	return udiff.Unified(subject+" (cluster)", subject+" (new)", texts[0], texts[1]), nil
}

// readable is an object without managed fields and without what the server
// alone writes; a Secret without its values.
func readable(obj *unstructured.Unstructured) map[string]any {
	shown := obj.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"} {
		unstructured.RemoveNestedField(shown.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(shown.Object, "metadata", "annotations", lastAppliedAnnotation)
	if shown.GetKind() == "Namespace" {
		unstructured.RemoveNestedField(shown.Object, "metadata", "labels", corev1.LabelMetadataName)
	}
	for _, field := range []string{"annotations", "labels"} {
		if left, found, _ := unstructured.NestedMap(shown.Object, "metadata", field); found && len(left) == 0 {
			unstructured.RemoveNestedField(shown.Object, "metadata", field)
		}
	}
	unstructured.RemoveNestedField(shown.Object, "status")
	if shown.GetKind() == "Secret" {
		for _, field := range []string{"data", "stringData"} {
			values, _, _ := unstructured.NestedMap(shown.Object, field)
			for key := range values {
				values[key] = "***"
			}
			if values != nil {
				_ = unstructured.SetNestedMap(shown.Object, values, field)
			}
		}
	}
	return shown.Object
}

// changedSince lists the fields of a release that the cluster has otherwise. What the
// cluster has in addition is not looked at: most of it is the server's own.
func changedSince(released, current *unstructured.Unstructured) string {
	if released.GetKind() == "Secret" {
		return ""
	}
	var lines []string
	compareFields("", released.Object, current.Object, &lines)
	return strings.Join(lines, "")
}

func compareFields(path string, released, current any, lines *[]string) {
	switch r := released.(type) {
	case map[string]any:
		l, _ := current.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(r)) {
			if path == "" && key != "data" && key != "spec" && key != "rules" {
				continue
			}
			compareFields(path+"."+key, r[key], l[key], lines)
		}
		return
	case []any:
		l, _ := current.([]any)
		for i := range r {
			if len(l) == len(r) {
				compareFields(fmt.Sprintf("%s[%d]", path, i), r[i], l[i], lines)
			}
		}
		if len(l) == len(r) {
			return
		}
	}
	if !sameValue(released, current) {
		*lines = append(
			*lines,
			fmt.Sprintf("  %s: %s, released as %s\n", strings.TrimPrefix(path, "."), brief(current), brief(released)),
		)
	}
}

// sameValue compares a released value with a live one. The server leaves out
// what says nothing, and writes 1000m as 1.
func sameValue(released, current any) bool {
	if current == nil {
		return released == nil || released == false || released == ""
	}
	a, b := fmt.Sprint(released), fmt.Sprint(current)
	if a == b {
		return true
	}
	was, err1 := resource.ParseQuantity(a)
	is, err2 := resource.ParseQuantity(b)
	return err1 == nil && err2 == nil && was.Cmp(is) == 0
}

// brief cuts a value to what fits on a line.
func brief(value any) string {
	if value == nil {
		return "nothing"
	}
	text := fmt.Sprint(value)
	line, _, more := strings.Cut(text, "\n")
	if more || len(line) > 60 {
		return fmt.Sprintf("%.57q…", line)
	}
	return fmt.Sprintf("%q", line)
}
