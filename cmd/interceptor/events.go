package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/internal/server"
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

// refusals writes an Event on a Trigger or EventListener after several of its events were
// refused in a row: `kubectl describe` is where users look first, and EventListeners log a
// refusal at debug level. An Event has only the number and the reason, since users who may
// read Events may not be allowed to read payloads. There are few of them, since any sender
// can cause them.
type refusals struct {
	*server.Events
	queue chan refused

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

func newRefusals(events *server.Events) *refusals {
	return &refusals{Events: events, queue: make(chan refused, refusalQueue), counts: map[string]*refusalCounter{}}
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

// makeRoom removes triggers without recent refusals, or else all: the counts are small and
// start again.
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
				f.Log.Error(err, "the refusals of a trigger could not be recorded as an Event", "triggerID",
					r.triggerID)
			}
		}
		if !server.Sleep(ctx, refusalPause, nil) {
			return
		}
	}
}

// findTimeout bounds the search for the object of a refusal.
const findTimeout = 10 * time.Second

func (f *refusals) write(ctx context.Context, r refused) error {
	about, err := f.find(ctx, r.triggerID)
	if about == nil || err != nil {
		return err
	}
	_, name := deliveries.Trigger(r.triggerID)
	command := "tekgate hook deliveries --refused -n " + about.Namespace
	if name != "" {
		command += " --trigger " + name
	}
	return f.Write(ctx, server.Event{
		About: *about, Reason: "DeliveriesRefused", Count: r.count, Within: r.within,
		Message: fmt.Sprintf(
			"%d events for trigger %q were refused within %s, the last one (event id %q) for the reason %s: `%s` says why",
			r.count, name, r.within.Round(time.Second), r.eventID, r.reason, command),
	})
}

// find returns the object of a trigger id, or nil if there is none: the caller chooses the
// id. A trigger is an object or a part of an EventListener.
func (f *refusals) find(ctx context.Context, triggerID string) (*corev1.ObjectReference, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	namespace, name := deliveries.Trigger(triggerID)
	field := "triggers"
	if group, found := strings.CutPrefix(name, "group/"); found {
		name, field = group, "triggerGroups"
	}
	if field == "triggers" && name != "" {
		trigger := triggersObject("Trigger")
		err := f.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, trigger)
		if err == nil {
			return reference(trigger), nil
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading Trigger %s/%s: %w", namespace, name, err)
		}
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(triggersObject("EventListenerList").GroupVersionKind())
	if err := f.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
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
