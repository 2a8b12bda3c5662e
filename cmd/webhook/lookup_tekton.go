package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/mutator"
)

// tektonSetup holds the settings of the cluster's Tekton. It reads three ConfigMaps by their
// names at intervals; a watch would cover all ConfigMaps of the namespace.
type tektonSetup struct {
	server.EveryReplica
	live      client.Reader
	namespace string
	interval  time.Duration
	log       logr.Logger

	known  atomic.Pointer[mutator.Tekton]
	status server.Status
}

// Start reads until ctx ends.
func (t *tektonSetup) Start(ctx context.Context) error {
	wait.UntilWithContext(ctx, t.read, t.interval)
	return nil
}

// now returns the settings that were read last, or else the defaults of a current Tekton.
func (t *tektonSetup) now() mutator.Tekton {
	if known := t.known.Load(); known != nil {
		return *known
	}
	return mutator.Tekton{}
}

// read keeps the settings from before if a ConfigMap cannot be read.
func (t *tektonSetup) read(ctx context.Context) {
	data := map[string]map[string]string{}
	for _, name := range []string{mutator.TektonInfo, mutator.TektonFlags, mutator.TektonDefaults} {
		var cm corev1.ConfigMap
		err := t.live.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: name}, &cm)
		if err != nil && !kube.Absent(err) {
			t.report("reading Tekton's ConfigMap " + name + ": " + err.Error())
			return
		}
		data[name] = cm.Data
	}
	parsed := mutator.ParseTekton(data[mutator.TektonInfo], data[mutator.TektonFlags], data[mutator.TektonDefaults])
	t.report("Tekton's settings are known")
	t.known.Store(&parsed)
}

func (t *tektonSetup) report(text string) {
	if t.status.Changed(text) {
		t.log.Info(text)
	}
}
