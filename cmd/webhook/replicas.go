package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// replicasLease is the Lease with an annotation of each replica.
const replicasLease = "tekgate-webhook-replicas"

// replicaPrefix begins the key of a replica's annotation. The value is what the replica
// wants, and when it wrote that.
const replicaPrefix = "replica.tekgate.dev/"

// replicas tracks what the replicas of the server want. A replica whose annotation does not
// change for a while has gone. That time is measured by the own clock, since clocks of
// nodes differ.
type replicas struct {
	client    client.Client
	namespace string
	name      string        // of this one, unique for good
	renewal   time.Duration // how often each announces
	gone      time.Duration
	log       logr.Logger

	announced announcement
	seen      map[string]announcement // by annotation
}

// announcement is the value of a replica's annotation, and when this replica saw it first.
type announcement struct {
	value string
	at    time.Time
}

func newReplicas(c client.Client, namespace string, interval time.Duration, log logr.Logger) *replicas {
	return &replicas{
		client: c, namespace: namespace, name: strings.ToLower(rand.Text()[:16]), renewal: interval / 2,
		gone: 3 * interval,
		log:  log, seen: map[string]announcement{},
	}
}

// announce writes what this replica wants, unless it has just done so.
func (r *replicas) announce(ctx context.Context, wants string) error {
	now := time.Now()
	if r.announced.value == wants && now.Sub(r.announced.at) < r.renewal {
		return nil
	}
	value := wants + " " + now.UTC().Format(time.RFC3339Nano)
	if err := r.annotate(ctx, map[string]any{replicaPrefix + r.name: value}); err != nil {
		return fmt.Errorf("telling the other replicas, in Lease %s/%s, which conditions are wanted: %w", r.namespace,
			replicasLease, err)
	}
	r.announced = announcement{wants, now}
	return nil
}

// leave removes the annotation of this replica.
func (r *replicas) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = r.annotate(ctx, map[string]any{replicaPrefix + r.name: nil}) // if it fails, the others forget it later
}

func (r *replicas) annotate(ctx context.Context, annotations map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: replicasLease}}
	return r.client.Patch(ctx, lease, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(conditionKeeper))
}

// agree reports whether all replicas, this one included, want the same. Annotations of
// replicas that have gone are removed.
func (r *replicas) agree(ctx context.Context, wants string) bool {
	lease := &coordinationv1.Lease{}
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: replicasLease}, lease); err != nil {
		return false
	}
	own, others, gone := false, true, map[string]any{}
	for key, value := range lease.Annotations {
		name, ours := strings.CutPrefix(key, replicaPrefix)
		if !ours {
			continue
		}
		if r.seen[key].value != value {
			r.seen[key] = announcement{value, time.Now()}
		}
		wanted, _, _ := strings.Cut(value, " ")
		switch {
		case name == r.name:
			own = wanted == wants
		case time.Since(r.seen[key].at) > r.gone:
			gone[key] = nil
			delete(r.seen, key)
		case wanted != wants:
			others = false
		}
	}
	if len(gone) > 0 {
		if err := r.annotate(ctx, gone); err != nil {
			r.log.Info("forgetting replicas that have gone failed", "reason", err.Error())
		}
	}
	return own && others
}
