package server

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/reference"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Warn records a warning as an Event on an object.
type Warn func(ctx context.Context, about client.Object, reason, action, message string)

// Recorded returns a Warn that uses client-go's recorder.
func Recorded(recorder events.EventRecorder) Warn {
	return func(_ context.Context, about client.Object, reason, action, message string) {
		recorder.Eventf(about, nil, corev1.EventTypeWarning, reason, action, "%s", message)
	}
}

// Events writes each Event at once. It is for a server that may only create Events of the
// core group; client-go's recorder also patches them.
type Events struct {
	Client     client.Client
	Component  string // such as tekgate-interceptor
	Controller string // such as tekgate.dev/interceptor
	Log        logr.Logger
}

// Event is a warning about an object.
type Event struct {
	About           corev1.ObjectReference
	Reason, Message string
	Count           int           // how often it happened
	Within          time.Duration // since the first time
}

const eventTimeout = 10 * time.Second

// Write creates an Event.
func (e *Events) Write(ctx context.Context, event Event) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	now, about := metav1.Now(), event.About
	err := e.Client.Create(ctx, &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: about.Namespace, GenerateName: about.Name + "."},
		InvolvedObject:      about,
		Type:                corev1.EventTypeWarning,
		Reason:              event.Reason,
		Message:             event.Message,
		Source:              corev1.EventSource{Component: e.Component},
		ReportingController: e.Controller,
		FirstTimestamp:      metav1.NewTime(now.Add(-event.Within)),
		LastTimestamp:       now,
		Count:               int32(event.Count),
	})
	if err != nil {
		return fmt.Errorf("writing an Event on %s %s/%s: %w", about.Kind, about.Namespace, about.Name, err)
	}
	return nil
}

// Warn writes an Event, and logs it if that fails. It is a value of the type Warn.
func (e *Events) Warn(ctx context.Context, about client.Object, reason, _, message string) {
	object, err := reference.GetReference(e.Client.Scheme(), about)
	if err == nil {
		err = e.Write(ctx, Event{About: *object, Reason: reason, Message: message, Count: 1})
	}
	if err != nil && ctx.Err() == nil {
		e.Log.Error(err, "a warning could not be recorded as an Event", "reason", reason)
	}
}
