package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/mutator"
)

// tektonSetup knows how the cluster's Tekton is set up. It reads three ConfigMaps by
// their names every now and then, rather than watch all of a namespace for them.
type tektonSetup struct {
	live      client.Reader
	namespace string
	interval  time.Duration
	log       logr.Logger

	known atomic.Pointer[mutator.Tekton]
	told  string
}

// NeedLeaderElection tells the manager to run it in every replica.
func (*tektonSetup) NeedLeaderElection() bool { return false }

// Start reads until ctx ends.
func (t *tektonSetup) Start(ctx context.Context) error {
	for {
		t.read(ctx)
		if !sleep(ctx, t.interval) {
			return nil
		}
	}
}

// now returns what was read last, of a current Tekton with its defaults where
// nothing could be.
func (t *tektonSetup) now() mutator.Tekton {
	if known := t.known.Load(); known != nil {
		return *known
	}
	return mutator.Tekton{}
}

// read keeps what is known where one of the ConfigMaps cannot be read.
func (t *tektonSetup) read(ctx context.Context) {
	data := map[string]map[string]string{}
	for _, name := range []string{mutator.TektonInfo, mutator.TektonFlags, mutator.TektonDefaults} {
		var cm corev1.ConfigMap
		err := t.live.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: name}, &cm)
		if err != nil && !apierrors.IsNotFound(err) {
			t.tell("reading Tekton's ConfigMap " + name + ": " + err.Error())
			return
		}
		data[name] = cm.Data
	}
	parsed := mutator.ParseTekton(data[mutator.TektonInfo], data[mutator.TektonFlags], data[mutator.TektonDefaults])
	t.tell("Tekton's settings are known")
	t.known.Store(&parsed)
}

func (t *tektonSetup) tell(now string) {
	if now != t.told {
		t.log.Info(now)
		t.told = now
	}
}
