package installer_test

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/kube"
)

// A second install asks the server about almost nothing.
func TestSecondPlanAsksForLittle(t *testing.T) {
	t.Parallel()
	c := start(t)
	rel := embedded(t)
	c.install(rel, atOnce)
	plan, err := c.plan(rel, atOnce)
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	for _, change := range plan.Changes() {
		if !unasked(change) {
			asked = append(asked, kube.Name(change.Desired))
		}
	}
	// This Deployment has cpu: 1000m, which the server writes as 1.
	want := []string{"Deployment/tekton-pipelines-resolvers/tekton-pipelines-remote-resolvers"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked about %d of %d objects: %v, want %v", len(asked), len(plan.Changes()), asked, want)
	}
}

// unasked reports whether a plan has decided without the server that an object does not change.
func unasked(change *installer.Change) bool { return change.Live != nil && change.After == change.Live }

// What is decided without the server is what the server would say, after any change of a release
// and any change in the cluster.
func TestUnaskedIsWhatTheServerSays(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(embedded(t), atOnce)
	edits := map[string]func(*rand.Rand, any) bool{"drop a field": dropField, "change a value": changeValue,
		"turn a list around": reverseList, "add a field": addField, "empty a value": emptyValue}
	for _, name := range slices.Sorted(maps.Keys(edits)) {
		rel := embedded(t)
		random := rand.New(rand.NewPCG(1, uint64(len(name))))
		edited := map[string]bool{}
		for i, obj := range rel.Objects {
			rel.Objects[i] = obj.DeepCopy()
			edited[kube.Identity(obj)] = edits[name](random, editable(rel.Objects[i]))
		}
		c.checkUnasked("in the release: "+name, rel, edited)
	}
	for i, name := range slices.Sorted(maps.Keys(edits)) {
		random := rand.New(rand.NewPCG(2, uint64(i)))
		c.editLive(random, edits[name], i)
		c.checkUnasked("in the cluster: "+name, embedded(t), nil)
	}
}

// editable is the part of an object that has more than its name.
func editable(obj *unstructured.Unstructured) map[string]any {
	part := maps.Clone(obj.Object)
	for _, field := range []string{"apiVersion", "kind", "metadata", "status"} {
		delete(part, field)
	}
	if len(part) == 0 {
		labels, _, _ := unstructured.NestedMap(obj.Object, "metadata", "labels")
		return labels
	}
	return part
}

// editLive changes every third object of the cluster as somebody else would, where the server lets it.
func (c *target) editLive(random *rand.Rand, edit func(*rand.Rand, any) bool, from int) {
	c.t.Helper()
	objects := embedded(c.t).Objects
	for i := from % 3; i < len(objects); i += 3 {
		obj := objects[i]
		live, err := c.Get(c.t.Context(), obj.GroupVersionKind(), obj.GetNamespace(), obj.GetName())
		if err != nil || live == nil {
			c.t.Fatal(kube.Name(obj), err)
		}
		if edit(random, editable(live)) {
			_ = c.Client().Update(c.t.Context(), live, client.FieldOwner("somebody")) // may be refused
		}
	}
}

// checkUnasked compares a plan with dry runs of its changes.
func (c *target) checkUnasked(when string, rel installer.Release, edited map[string]bool) {
	c.t.Helper()
	plan, err := c.plan(rel, installer.Options{Force: true})
	if plan == nil || len(plan.Changes()) == 0 {
		c.t.Fatalf("%s: no plan: %v", when, err)
	}
	decided, count := 0, 0
	for _, change := range plan.Changes() {
		if edited[kube.Identity(change.Rendered)] {
			count++
		}
		if !unasked(change) {
			continue
		}
		decided++
		said := change.Desired.DeepCopy()
		err := c.Client().Apply(c.t.Context(), client.ApplyConfigurationFromUnstructured(said),
			client.FieldOwner(installer.FieldManager), client.ForceOwnership, client.DryRunAll)
		if err != nil {
			c.t.Errorf("%s: %s was not asked about, and the server refuses it: %v", when, kube.Name(said), err)
			continue
		}
		if is, was := content(said), content(change.Live); !reflect.DeepEqual(is, was) {
			c.t.Errorf("%s: %s was not asked about, and the server changes %v to %v", when, kube.Name(said), was, is)
		}
	}
	c.t.Logf("%s: %d objects edited, %d of %d decided without the server", when, count, decided, len(plan.Changes()))
	if edited != nil && (count == 0 || decided > len(plan.Changes())-count/2) {
		c.t.Errorf("%s: %d objects edited, and %d of %d decided without the server", when, count, decided, len(plan.Changes()))
	}
}

// content is an object without what each write changes.
func content(obj *unstructured.Unstructured) map[string]any {
	copied := obj.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "generation"} {
		unstructured.RemoveNestedField(copied.Object, "metadata", field)
	}
	return copied.Object
}

// pick walks down a value and calls do at a random map or list that it accepts.
func pick(random *rand.Rand, value any, do func(any) bool) bool {
	var below []any
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			below = append(below, value[key])
		}
	case []any:
		below = value
	default:
		return false
	}
	random.Shuffle(len(below), func(i, j int) { below[i], below[j] = below[j], below[i] })
	for _, item := range below {
		if pick(random, item, do) {
			return true
		}
	}
	return do(value)
}

func dropField(random *rand.Rand, value any) bool {
	return pick(random, value, func(at any) bool {
		fields, ok := at.(map[string]any)
		if !ok || len(fields) < 2 {
			return false
		}
		keys := slices.Sorted(maps.Keys(fields))
		delete(fields, keys[random.IntN(len(keys))])
		return true
	})
}

func changeValue(random *rand.Rand, value any) bool {
	return pick(random, value, func(at any) bool {
		fields, _ := at.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			if text, ok := fields[key].(string); ok && text != "" {
				fields[key] = text + "x"
				return true
			}
		}
		return false
	})
}

func emptyValue(random *rand.Rand, value any) bool {
	return pick(random, value, func(at any) bool {
		fields, _ := at.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			switch was := fields[key].(type) {
			case string:
				if was != "" {
					fields[key] = ""
					return true
				}
			case bool:
				if was {
					fields[key] = false
					return true
				}
			}
		}
		return false
	})
}

func reverseList(random *rand.Rand, value any) bool {
	return pick(random, value, func(at any) bool {
		list, ok := at.([]any)
		if !ok || len(list) < 2 || reflect.DeepEqual(list[0], list[len(list)-1]) {
			return false
		}
		slices.Reverse(list)
		return true
	})
}

func addField(random *rand.Rand, value any) bool {
	return pick(random, value, func(at any) bool {
		fields, ok := at.(map[string]any)
		if ok {
			fields["added"] = "value"
		}
		return ok
	})
}
