package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tekgate/tekgate/interceptor/deliveries"
)

// Sentence returns why a run hangs or failed, in one sentence; it is empty where that is unknown.
type Sentence func(ctx context.Context, namespace, kind, name string) string

// detail is what has to be found out about a run, beyond its own fields.
type detail struct {
	cause *Cause
	why   string
}

const (
	// patience is how long one run's details may take.
	patience = 10 * time.Second
	// remembered bounds the number of runs and of deliveries whose details are kept.
	remembered = 2000
	// explained is the number of failed runs of an initial list that are asked about, the newest.
	// The others show Tekton's message.
	explained = 20
)

// details finds out about runs.
type details struct {
	sentence Sentence          // nil if there is none
	source   deliveries.Source // nil if deliveries are not read
	warn     func(error)

	reading sync.Mutex                      // of the fields below, while deliveries are read
	events  map[string]*deliveries.Delivery // by event id; nil for those that nobody recorded
	retry   time.Time                       // when deliveries are read again after an error; zero without one

	mu     sync.Mutex
	known  map[string]detail // by UID and state
	wanted chan *Run
}

func newDetails(warn func(error)) *details {
	return &details{
		warn:   warn,
		events: map[string]*deliveries.Delivery{}, known: map[string]detail{}, wanted: make(chan *Run, 100),
	}
}

// own is what the run itself tells.
func own(r *Run) detail { return detail{cause: causeOf(r), why: r.message()} }

// find returns the details of a run. It may take as long as patience.
func (d *details) find(ctx context.Context, r *Run) detail {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found := own(r)
	if found.cause != nil {
		d.complete(ctx, found.cause)
	}
	if d.sentence != nil && r.failed() {
		if why := d.sentence(ctx, r.Metadata.Namespace, r.Kind, r.Metadata.Name); why != "" {
			found.why = firstSentence(why)
		}
	}
	return found
}

// complete adds what the interceptor recorded of the event.
func (d *details) complete(ctx context.Context, c *Cause) {
	if d.source == nil {
		return
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	if _, known := d.events[c.EventID]; !known && time.Now().After(d.retry) {
		if !d.read(ctx) {
			return
		}
		if _, found := d.events[c.EventID]; !found {
			d.events[c.EventID] = nil // the record precedes the run, so it will not come
		}
	}
	if e := d.events[c.EventID]; e != nil {
		c.Forge, c.Event, c.Repository, c.Ref, c.Commit, c.Sender = e.Provider, e.Event, e.Repository, e.Ref, e.SHA,
			e.Sender
	}
}

// pause is how long the record is left alone after an error, such as that of a rollout of the interceptor.
const pause = 30 * time.Second

// read reads the newest deliveries, of which only those that continued can have started a run. It reports
// whether it could.
func (d *details) read(ctx context.Context) bool {
	list, err := d.source(ctx, deliveries.Filter{Limit: remembered / 2})
	if err != nil {
		if d.retry.IsZero() {
			d.warn(fmt.Errorf("commits and senders are not shown until the record can be read: %w", err))
		}
		d.retry = time.Now().Add(pause)
		return false
	}
	d.retry = time.Time{}
	if len(d.events) > remembered {
		clear(d.events)
	}
	for i := range list {
		if list[i].Continue {
			d.events[list[i].EventID] = &list[i]
		}
	}
	return true
}

// now returns what is known of a run at once, and has the rest found out if there may be more.
func (d *details) now(r *Run) detail {
	d.mu.Lock()
	found, ok := d.known[key(r)]
	d.mu.Unlock()
	if ok {
		return found
	}
	if d.sentence != nil && r.failed() || d.source != nil && r.Metadata.Labels.EventID != "" {
		select {
		case d.wanted <- r:
		default: // there is much to do; it is asked for again when the table is next drawn
		}
	}
	return own(r)
}

// key identifies a run in its state.
func key(r *Run) string { return string(r.Metadata.UID) + " " + r.State() }

// work finds out about the runs that now was asked for, and calls changed after each.
func (d *details) work(ctx context.Context, changed func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-d.wanted:
			d.mu.Lock()
			_, ok := d.known[key(r)]
			d.mu.Unlock()
			if ok {
				continue
			}
			found := d.find(ctx, r)
			d.mu.Lock()
			if len(d.known) >= remembered {
				clear(d.known)
			}
			d.known[key(r)] = found
			d.mu.Unlock()
			changed()
		}
	}
}

// initial returns the details of a list's runs, of which the newest failures are found out.
func (d *details) initial(ctx context.Context, newestFirst []*Run) map[types.UID]detail {
	all := map[types.UID]detail{}
	asked := 0
	for _, r := range newestFirst {
		switch {
		case d.sentence != nil && r.failed() && asked < explained:
			asked++
			all[r.Metadata.UID] = d.find(ctx, r)
		case d.source != nil && r.Metadata.Labels.EventID != "":
			found := own(r)
			d.complete(ctx, found.cause)
			all[r.Metadata.UID] = found
		}
	}
	return all
}
