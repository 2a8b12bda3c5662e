package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/deliveries"
)

// When refusals become an Event.
const (
	refusalCount  = 3                // refusals of one trigger
	refusalWindow = 10 * time.Minute // within this; and no more than one Event in it
	refusalQueue  = 64               // triggers that wait for theirs
	refusalPause  = time.Second      // between two Events, whosever they are
	maxRefused    = 1000             // triggers that are counted at once
)

// ordinary are the reasons that refuse what was not meant to start anything.
var ordinary = map[string]bool{"ping": true, "filtered": true, "ref-deleted": true, "busy": true}

// refusals writes an Event on a Trigger or EventListener of which several events
// were refused in a row: `kubectl describe` is where people look first, and
// EventListeners log a refusal at debug level. An Event says how many and for which
// reason, and no more, for whoever may read Events may not read payloads. That
// anybody could cause them is why they are few.
type refusals struct {
	client client.Client
	log    logr.Logger
	queue  chan refused

	mu     sync.Mutex
	counts map[string]*refusalCounter // by trigger id
}

type refusalCounter struct {
	first, said time.Time
	count       int
}

// refused is one Event to be written.
type refused struct {
	triggerID, reason, eventID string
	count                      int
	within                     time.Duration
}

func newRefusals(c client.Client, log logr.Logger) *refusals {
	return &refusals{client: c, log: log, queue: make(chan refused, refusalQueue), counts: map[string]*refusalCounter{}}
}

// Observe implements interceptor.Observer.
func (f *refusals) Observe(r interceptor.Record) {
	if r.TriggerID == "" || ordinary[r.Reason] {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.counts[r.TriggerID]
	if r.Continue {
		if c != nil {
			c.count = 0
		}
		return
	}
	if c == nil {
		f.makeRoom(r.Time)
		c = &refusalCounter{}
		f.counts[r.TriggerID] = c
	}
	if c.count == 0 || r.Time.Sub(c.first) > refusalWindow {
		c.first, c.count = r.Time, 0
	}
	c.count++
	if c.count < refusalCount || r.Time.Sub(c.said) < refusalWindow {
		return
	}
	select {
	case f.queue <- refused{r.TriggerID, r.Reason, r.EventID, c.count, r.Time.Sub(c.first)}:
		c.said = r.Time
	default: // others wait already; the next refusal tries again
	}
}

// makeRoom forgets triggers that were quiet for long, or else all: the counts are
// small and begin anew.
func (f *refusals) makeRoom(now time.Time) {
	if len(f.counts) < maxRefused {
		return
	}
	for id, c := range f.counts {
		if now.Sub(c.first) > refusalWindow && now.Sub(c.said) > refusalWindow {
			delete(f.counts, id)
		}
	}
	if len(f.counts) >= maxRefused {
		clear(f.counts)
	}
}

// run writes Events until ctx ends.
func (f *refusals) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-f.queue:
			if err := f.write(ctx, r); err != nil && ctx.Err() == nil {
				f.log.Error(err, "a trigger's refusals are not told as an Event", "triggerID", r.triggerID)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(refusalPause):
		}
	}
}

const eventTimeout = 10 * time.Second

func (f *refusals) write(ctx context.Context, r refused) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	about, err := f.find(ctx, r.triggerID)
	if about == nil || err != nil {
		return err
	}
	now := metav1.Now()
	_, name := deliveries.Trigger(r.triggerID)
	command := "tekgate hook deliveries --refused -n " + about.Namespace
	if name != "" {
		command += " --trigger " + name
	}
	err = f.client.Create(ctx, &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: about.Namespace, GenerateName: about.Name + "."},
		InvolvedObject:      *about,
		Type:                corev1.EventTypeWarning,
		Reason:              "DeliveriesRefused",
		Message:             fmt.Sprintf("%d events for trigger %q were refused within %s, the last one (event id %q) for the reason %s: `%s` says why", r.count, name, r.within.Round(time.Second), r.eventID, r.reason, command),
		Source:              corev1.EventSource{Component: "tekgate-interceptor"},
		ReportingController: "tekgate.dev/interceptor",
		FirstTimestamp:      metav1.NewTime(now.Add(-r.within)),
		LastTimestamp:       now,
		Count:               int32(r.count),
	})
	if err != nil {
		return fmt.Errorf("writing an Event on %s %s/%s: %w", about.Kind, about.Namespace, about.Name, err)
	}
	return nil
}

// find returns the object that a trigger id means, or nil where there is none: the
// id is the caller's word. A trigger may be an object or a part of an EventListener.
func (f *refusals) find(ctx context.Context, triggerID string) (*corev1.ObjectReference, error) {
	namespace, name := deliveries.Trigger(triggerID)
	field := "triggers"
	if group, found := strings.CutPrefix(name, "group/"); found {
		name, field = group, "triggerGroups"
	}
	if field == "triggers" && name != "" {
		trigger := triggersObject("Trigger")
		err := f.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, trigger)
		if err == nil {
			return reference(trigger), nil
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading Trigger %s/%s: %w", namespace, name, err)
		}
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(triggersObject("EventListenerList").GroupVersionKind())
	if err := f.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing the EventListeners of namespace %s: %w", namespace, err)
	}
	for i := range list.Items {
		if hasTrigger(&list.Items[i], field, name) {
			return reference(&list.Items[i]), nil
		}
	}
	return nil, nil
}

func hasTrigger(listener *unstructured.Unstructured, field, name string) bool {
	items, _, _ := unstructured.NestedSlice(listener.Object, "spec", field)
	for _, item := range items {
		fields, _ := item.(map[string]any)
		if has, _ := fields["name"].(string); has == name {
			return true
		}
	}
	return false
}

func triggersObject(kind string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("triggers.tekton.dev/v1beta1")
	u.SetKind(kind)
	return u
}

func reference(u *unstructured.Unstructured) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName(),
		UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(),
	}
}
