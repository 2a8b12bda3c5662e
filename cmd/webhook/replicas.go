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

// replicasLease is the Lease in whose annotations each replica says what it wants.
const replicasLease = "tekgate-webhook-replicas"

// replicaPrefix begins the annotation of a replica; its value is what the replica
// wants, and when it said so the last time.
const replicaPrefix = "replica.tekgate.dev/"

// replicas know what the replicas of the server want. One that has not said anything
// for a while has gone; how long that is, is measured by the own clock, since clocks
// of nodes differ.
type replicas struct {
	client    client.Client
	namespace string
	name      string        // of this one, which nobody else has ever had
	renewal   time.Duration // how often each says it
	gone      time.Duration
	log       logr.Logger

	told  string
	at    time.Time
	heard map[string]saying // by annotation
}

type saying struct {
	value string
	at    time.Time
}

func newReplicas(c client.Client, namespace string, interval time.Duration, log logr.Logger) *replicas {
	return &replicas{
		client: c, namespace: namespace, name: strings.ToLower(rand.Text()[:16]), renewal: interval / 2, gone: 3 * interval,
		log: log, heard: map[string]saying{},
	}
}

// tell says what this replica wants, unless it has just said so.
func (r *replicas) tell(ctx context.Context, wants string) error {
	now := time.Now()
	if r.told == wants && now.Sub(r.at) < r.renewal {
		return nil
	}
	if err := r.annotate(ctx, map[string]any{replicaPrefix + r.name: wants + " " + now.UTC().Format(time.RFC3339Nano)}); err != nil {
		return fmt.Errorf("telling the other replicas, in Lease %s/%s, which conditions are wanted: %w", r.namespace, replicasLease, err)
	}
	r.told, r.at = wants, now
	return nil
}

// leave takes back what was said.
func (r *replicas) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = r.annotate(ctx, map[string]any{replicaPrefix + r.name: nil}) // others will take it for gone
}

func (r *replicas) annotate(ctx context.Context, annotations map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: replicasLease}}
	return r.client.Patch(ctx, lease, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(conditionKeeper))
}

// agree tells whether every replica that is there wants the same, this one included.
// What those have said that have gone is removed.
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
		if r.heard[key].value != value {
			r.heard[key] = saying{value, time.Now()}
		}
		said, _, _ := strings.Cut(value, " ")
		switch {
		case name == r.name:
			own = said == wants
		case time.Since(r.heard[key].at) > r.gone:
			gone[key] = nil
			delete(r.heard, key)
		case said != wants:
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
