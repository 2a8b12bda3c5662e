package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/server"
)

// programs holds what the images of the mirror start, as `tekgate images lock` has stored it.
// It reads one ConfigMap by its name at intervals.
type programs struct {
	server.EveryReplica
	live      client.Reader
	namespace string // Tekgate's
	interval  time.Duration
	log       logr.Logger

	known   atomic.Pointer[entrypoint.Table]
	version string // of the ConfigMap that known was read from
	status  server.Status
}

// Start reads until ctx ends.
func (t *programs) Start(ctx context.Context) error {
	wait.UntilWithContext(ctx, t.read, t.interval)
	return nil
}

// read keeps what was known if the ConfigMap cannot be read, or is wrong.
func (t *programs) read(ctx context.Context) {
	var cm corev1.ConfigMap
	err := t.live.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: entrypoint.ConfigMap}, &cm)
	switch {
	case kube.Absent(err):
		t.known.Store(nil)
		t.version = ""
		return
	case err != nil:
		t.report(fmt.Sprintf("reading ConfigMap %s: %v", entrypoint.ConfigMap, err))
		return
	case cm.ResourceVersion == t.version:
		return
	}
	table, err := entrypoint.Parse(cm.Data)
	if err != nil {
		t.report(fmt.Sprintf("ConfigMap %s is not used: %v", entrypoint.ConfigMap, err))
		return
	}
	t.known.Store(table)
	t.version = cm.ResourceVersion
	t.report("the commands of the mirror's images are known")
}

func (t *programs) report(text string) {
	if t.status.Changed(text) {
		t.log.Info(text)
	}
}
