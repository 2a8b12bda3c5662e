// Package installer makes the cluster equal to the manifests: it loads them,
// rewrites their images, plans and applies.
//
// The command line's verbs are prefixes of that one pipeline. Everything that
// can be found wrong without the cluster is found before the first write, and
// what the cluster would refuse is found by a dry run of each stage before
// that stage's first write. Objects are applied server-side under one field
// manager, by fluxcd/pkg/ssa: fields that others own (the caBundles that
// webhooks write, replicas that an autoscaler sets) stay theirs, applying twice
// changes nothing, and CRDs of 250 KB carry no copy of themselves in an
// annotation. An interrupted install is run again and goes on.
package installer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// FieldManager owns what Tekgate applies.
const FieldManager = "tekgate"

// Cluster is where objects are applied.
type Cluster struct {
	client  client.Client
	manager *ssa.ResourceManager
}

// Connect returns the cluster that config names, after asking it for its
// version: a server that does not answer is better known before the work.
func Connect(ctx context.Context, config *rest.Config) (*Cluster, error) {
	config = rest.CopyConfig(config)
	// One user's install is no load; the server's own fairness is enough.
	config.QPS = -1
	if err := reachable(ctx, config); err != nil {
		return nil, err
	}
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, http)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	c, err := client.New(config, client.Options{HTTPClient: http, Mapper: mapper, Scheme: runtime.NewScheme()})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	poller := polling.NewStatusPoller(c, mapper, polling.Options{})
	manager := ssa.NewResourceManager(c, poller, ssa.Owner{Field: FieldManager, Group: "tekgate.dev"})
	return &Cluster{client: c, manager: manager}, nil
}

func reachable(ctx context.Context, config *rest.Config) error {
	asking := rest.CopyConfig(config)
	asking.Timeout = 15 * time.Second
	d, err := discovery.NewDiscoveryClientForConfig(asking)
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	if err := d.RESTClient().Get().AbsPath("/version").Do(ctx).Error(); err != nil {
		return fmt.Errorf("connecting to the cluster at %s: %w: check that the server runs, and that --kubeconfig and --context name the right one", config.Host, reason(err))
	}
	return nil
}

// Reporter hears what Apply does, as it does it.
type Reporter interface {
	Stage(number, of int, stage Stage)
	Changed(ssa.ChangeSetEntry)
}

// Apply applies objects stage by stage and returns what became of each. On an
// error the result holds what was done before it.
func (c *Cluster) Apply(ctx context.Context, stages []Stage, report Reporter) (*ssa.ChangeSet, error) {
	done := ssa.NewChangeSet()
	for i, stage := range stages {
		report.Stage(i+1, len(stages), stage)
		changed, err := c.applyStage(ctx, stage)
		if changed != nil {
			done.Append(changed.Entries)
			for _, entry := range changed.Entries {
				report.Changed(entry)
			}
		}
		if err != nil {
			return done, fmt.Errorf("applying stage %d of %d (%s): %w%s", i+1, len(stages), stage.Doc, err, afterwards(done))
		}
	}
	return done, nil
}

// afterwards says what state an error leaves behind.
func afterwards(done *ssa.ChangeSet) string {
	written := 0
	for _, entry := range done.Entries {
		if entry.Action == ssa.CreatedAction || entry.Action == ssa.ConfiguredAction {
			written++
		}
	}
	if written == 0 {
		return ": the stages before changed nothing"
	}
	return fmt.Sprintf(": %d objects of the stages before were written and stay; run the same command again to go on from here", written)
}

const (
	definitionsTimeout = time.Minute
	webhookTimeout     = 2 * time.Minute
)

func (c *Cluster) applyStage(ctx context.Context, stage Stage) (*ssa.ChangeSet, error) {
	var changed *ssa.ChangeSet
	// A webhook that was registered a moment ago may not answer yet, on a first
	// install and on an upgrade alike; nothing else is worth a second try.
	err := wait.PollUntilContextTimeout(ctx, 2*time.Second, webhookTimeout, true, func(ctx context.Context) (bool, error) {
		var err error
		changed, err = c.manager.ApplyAll(ctx, stage.Objects, ssa.DefaultApplyOptions())
		if err != nil && strings.Contains(err.Error(), "failed calling webhook") && ctx.Err() == nil {
			return false, nil
		}
		return true, err
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return changed, fmt.Errorf("a webhook on the way does not answer after %s: see which of `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations` names a Service without ready Pods: %w", webhookTimeout, err)
	}
	if err != nil || !stage.Wait {
		return changed, err
	}
	options := ssa.WaitOptions{Interval: 200 * time.Millisecond, Timeout: definitionsTimeout, FailFast: true}
	if err := c.manager.WaitForSetWithContext(ctx, changed.ToObjMetadataSet(), options); err != nil {
		return changed, fmt.Errorf("waiting until the server serves them: %w", err)
	}
	// What was unknown a moment ago is served now.
	meta.MaybeResetRESTMapper(c.client.RESTMapper())
	return changed, nil
}
