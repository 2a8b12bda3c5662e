package watch

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// change is an event of an informer. Without a run it is the end of the initial list.
type change struct {
	run     *Run
	deleted bool
}

// lines prints one line for each run that exists, the oldest first, and then one for each change
// of a state, until ctx ends.
func (v *view) lines(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := make(chan change)
	if err := v.follow(ctx, changes); err != nil {
		return err
	}
	existing := map[types.UID]*Run{}
	printed := map[types.UID]string{} // the last state that was printed
	for initial := true; ; {
		var c change
		select {
		case <-ctx.Done():
			return nil
		case c = <-changes:
		}
		var err error
		switch {
		case c.run == nil:
			initial = false
			err = v.printInitial(ctx, existing, printed)
			existing = nil
		case initial && c.deleted:
			delete(existing, c.run.Metadata.UID)
		case initial:
			existing[c.run.Metadata.UID] = c.run
		default:
			err = v.printChange(ctx, c, printed)
		}
		if err != nil {
			return err
		}
	}
}

// follow starts the informers, which send changes until ctx ends.
func (v *view) follow(ctx context.Context, changes chan<- change) error {
	send := func(obj any, deleted bool) {
		if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = last.Obj
		}
		if run, ok := obj.(*Run); ok {
			deliver(ctx, changes, change{run, deleted})
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { send(obj, false) },
		UpdateFunc: func(old, obj any) {
			if replaced(old, obj) {
				send(old, true)
			}
			send(obj, false)
		},
		DeleteFunc: func(obj any) { send(obj, true) },
	}
	var synced []cache.InformerSynced
	for _, s := range v.sources {
		informer, err := s.informer()
		if err != nil {
			return err
		}
		registration, err := informer.AddEventHandler(handler)
		if err != nil {
			return err
		}
		synced = append(synced, registration.HasSynced)
		go informer.RunWithContext(ctx)
	}
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), synced...) {
			deliver(ctx, changes, change{})
		}
	}()
	return nil
}

// replaced reports whether a run was deleted while nobody watched, and another has its name.
func replaced(old, obj any) bool {
	was, wasRun := old.(*Run)
	now, isRun := obj.(*Run)
	return wasRun && isRun && was.Metadata.UID != now.Metadata.UID
}

func deliver(ctx context.Context, changes chan<- change, c change) {
	select {
	case changes <- c:
	case <-ctx.Done():
	}
}

// printInitial prints the runs that existed before the command.
func (v *view) printInitial(ctx context.Context, existing map[types.UID]*Run, printed map[types.UID]string) error {
	runs := make([]*Run, 0, len(existing))
	for uid, r := range existing {
		runs = append(runs, r)
		printed[uid] = phase(r)
	}
	if v.options.watchOnly {
		return nil
	}
	sortRuns(runs)
	found := v.details.initial(ctx, runs)
	for _, r := range slices.Backward(runs) {
		if err := v.print(r, found[r.Metadata.UID]); err != nil {
			return err
		}
	}
	return nil
}

// printChange prints a run whose state changed.
func (v *view) printChange(ctx context.Context, c change, printed map[types.UID]string) error {
	uid := c.run.Metadata.UID
	if c.deleted {
		delete(printed, uid)
		shown := newRow(c.run, own(c.run), v.now())
		shown.State, shown.Why = Deleted, ""
		return v.write(&shown)
	}
	if printed[uid] == phase(c.run) {
		return nil
	}
	printed[uid] = phase(c.run)
	return v.print(c.run, v.details.find(ctx, c.run))
}

// phase is the part of a run whose change is worth a line: its state, and Tekton's reason unless
// the state says the same.
func phase(r *Run) string {
	reason := r.condition().Reason
	switch reason {
	case "Started", Running, Pending, "Completed", Succeeded, Failed:
		reason = ""
	}
	return r.State() + " " + reason
}

// print prints a run's line.
func (v *view) print(r *Run, d detail) error {
	shown := newRow(r, d, v.now())
	return v.write(&shown)
}

func (v *view) write(r *row) error {
	if v.options.output.ForPrograms() {
		return v.options.output.Each(v.streams.Out, r)
	}
	_, err := fmt.Fprintln(v.streams.Out, r.line())
	return err
}
