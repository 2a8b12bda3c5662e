// Package diagnosis finds out why a run of Tekton hangs or failed.
//
// It is pure: a State holds what was read of a cluster, and Explain returns the
// causes that follow from it. The same State gives the same causes in the same order. What
// the State does not prove is not a cause; a failure that no rule knows is returned as
// Tekton reports it.
//
// Tekton's condition tells the last thing that Tekton noticed. The reason is often
// elsewhere: in the state of a container that Tekton does not look at, in an event, in the
// log of a step, or in what a ServiceAccount does not list. All of these are texts with an
// origin (evidence). Detectors look for known texts, and for the objects that they name.
package diagnosis

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/credentials/clients"
	"github.com/tekgate/tekgate/internal/image"
)

// Key names an object.
type Key struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String returns what the object is called in sentences, such as "TaskRun ci/build".
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Kind + " " + k.Name
	}
	return k.Kind + " " + k.Namespace + "/" + k.Name
}

// KeyOf returns the key of an object.
func KeyOf(obj *unstructured.Unstructured) Key {
	return Key{Kind: obj.GetKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// State is what was read of a cluster. Whatever it lacks is unknown, which is not the same
// as absent: only keys in Absent were looked up and not found.
type State struct {
	// Now is the time of the reading. Runs that are younger than a few seconds are given time.
	Now time.Time
	// Absent are objects that do not exist.
	Absent []Key
	// Logs are the last lines of containers.
	Logs []Log
	// Images are the answers of registries.
	Images []Image
	// Logins are the Docker configurations in Secrets, by the Secret's key. The reader
	// replaces passwords and tokens; only keys and user names count here.
	Logins map[Key]clients.Source
	// Tekgate is what is known of Tekgate's own webhook; nil for nothing.
	Tekgate *Tekgate

	objects map[Key]*unstructured.Unstructured
	byKind  map[string][]*unstructured.Unstructured
}

// Log is the end of a container's log.
type Log struct{ Namespace, Pod, Container, Text string }

// Image is what a registry answers about an image for the cluster's platforms.
type Image struct {
	Reference string
	// Status is one of internal/registry: ok, missing, missing platform, wrong digest, …
	Status    string
	Platforms []string // those that the registry has
	Wanted    []string // those of the cluster's nodes
	Digest    string   // the one found under the tag
	Problem   string   // the registry's answer, one sentence
}

// Tekgate is what is known of Tekgate's admission webhook.
type Tekgate struct {
	// Installed reports whether its mutating webhook is registered, and Since is when it was.
	Installed bool
	Since     time.Time
	// Mirror are the rules by which images are rewritten; nil for none.
	Mirror *image.Rules
	// Rewrites reports whether the rule image-mirror is on.
	Rewrites bool
}

// Add adds objects that were read. A later object replaces an earlier one with its key.
func (s *State) Add(objects ...*unstructured.Unstructured) {
	if s.objects == nil {
		s.objects = map[Key]*unstructured.Unstructured{}
		s.byKind = map[string][]*unstructured.Unstructured{}
	}
	for _, obj := range objects {
		if old := s.objects[KeyOf(obj)]; old != nil {
			kind := s.byKind[obj.GetKind()]
			kind[slices.Index(kind, old)] = obj
		} else {
			s.byKind[obj.GetKind()] = append(s.byKind[obj.GetKind()], obj)
		}
		s.objects[KeyOf(obj)] = obj
	}
}

// Get returns an object, or nil if it was not read.
func (s *State) Get(kind, namespace, name string) *unstructured.Unstructured {
	return s.objects[Key{kind, namespace, name}]
}

// Kind returns the objects of a kind in the order in which they were added.
func (s *State) Kind(kind string) []*unstructured.Unstructured { return s.byKind[kind] }

// absent reports whether an object was looked up and not found.
func (s *State) absent(kind, namespace, name string) bool {
	return slices.Contains(s.Absent, Key{kind, namespace, name})
}

// Cause is one reason why a run hangs or failed.
type Cause struct {
	// ID is that of a row of Kinds, such as image-missing.
	ID string `json:"id"`
	// Run is the run that Object belongs to: a TaskRun, or a PipelineRun itself.
	Run Key `json:"run"`
	// Object is where the cause is, and Container is a container or step of it, if it is there.
	Object    Key    `json:"object"`
	Container string `json:"container,omitempty"`
	// Image is the image that cannot be used, as it is written, if the cause is about one.
	Image string `json:"image,omitempty"`
	// Message is one sentence: what is wrong, and why. Secrets are masked.
	Message string `json:"message"`
	// Remedy says how to fix it.
	Remedy string `json:"remedy"`
}

// String returns the cause as one line: what, where and why.
func (c Cause) String() string {
	where := c.Object.String()
	if c.Container != "" {
		where += ", " + containerTitle(c.Container)
	}
	return c.ID + ": " + where + ": " + c.Message
}

// Explain returns why a run hangs or failed, the cause nearest to the root first; none for a
// run that succeeded, or that nothing is known to hold up. The run's key must be that of a
// TaskRun or a PipelineRun in the state.
func Explain(state *State, run Key) []Cause {
	obj := state.objects[run]
	if obj == nil {
		return nil
	}
	var causes []Cause
	switch run.Kind {
	case "TaskRun":
		causes = newTask(state, obj).explain()
	case "PipelineRun":
		causes = explainPipelineRun(state, obj)
	}
	return finish(causes)
}

// finish orders causes, masks what they quote, and removes repetitions.
func finish(causes []Cause) []Cause {
	for i := range causes {
		causes[i].Message = clean(causes[i].Message)
		if causes[i].Remedy == "" {
			causes[i].Remedy = kindOf(causes[i].ID).Remedy
		}
		causes[i].Remedy = clean(causes[i].Remedy)
	}
	slices.SortStableFunc(causes, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(rank(a.ID), rank(b.ID)),
			strings.Compare(a.Object.String(), b.Object.String()), strings.Compare(a.Container, b.Container))
	})
	return slices.CompactFunc(causes, func(a, b Cause) bool {
		return a.ID == b.ID && a.Object == b.Object && a.Container == b.Container
	})
}
