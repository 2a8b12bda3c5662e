package installer_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/ssa"
	"k8s.io/client-go/rest"

	"github.com/tekgate/tekgate/installer"
)

// An install waits for what it should, a second one changes nothing, and says
// so.
func TestInstallTwice(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.node()
	rel := embedded(t)
	waiting := installer.Options{Wait: true, Timeout: 2 * time.Minute}
	_, done := c.install(rel, waiting)
	if got := done.ToGroupedMap(); len(got[ssa.CreatedAction]) != len(rel.Objects) {
		t.Errorf("created %d of %d objects", len(got[ssa.CreatedAction]), len(rel.Objects))
	}
	before := c.everything(true)
	_, done = c.install(embedded(t), waiting)
	if got := done.ToGroupedMap(); len(got[ssa.UnchangedAction]) != len(rel.Objects) {
		t.Errorf(
			"the second time left %d of %d unchanged; configured %v",
			len(got[ssa.UnchangedAction]),
			len(rel.Objects),
			got[ssa.ConfiguredAction],
		)
	}
	if changed := unlike(before, c.everything(true)); len(changed) > 0 {
		t.Errorf("the second time wrote %v", changed)
	}
	inventory, err := installer.ReadInventory(t.Context(), c.Client())
	if err != nil || !inventory.Complete || !inventory.Versions.Equal(rel.Versions) ||
		len(inventory.All()) != len(rel.Objects) {
		t.Errorf("inventory %+v, error %v", inventory.Versions, err)
	}
}

// interrupter cancels its context after n objects.
type interrupter struct {
	silent
	left   int
	cancel context.CancelFunc
}

func (i *interrupter) Changed(ssa.ChangeSetEntry) {
	if i.left--; i.left == 0 {
		i.cancel()
	}
}

// boundary cancels its context where a stage begins.
type boundary struct {
	silent
	at     int
	cancel context.CancelFunc
}

func (b boundary) Stage(number, _ int, _ installer.Stage) {
	if number == b.at {
		b.cancel()
	}
}

// Interrupted at any stage boundary, and in the midst of stages, and run again,
// an install and an upgrade end where undisturbed ones do.
func TestInterruptedGoesOn(t *testing.T) {
	t.Parallel()
	undisturbed := start(t)
	older, newer := mini("v1.0.0", ""), mini("v1.1.0", "new-flag: \"on\"")
	disturbed := start(t)
	for _, c := range []*target{undisturbed, disturbed} {
		c.node()
	}
	options := installer.Options{Wait: true, Timeout: 2 * time.Minute}
	for round, rel := range []func(testing.TB) installer.Release{older, newer} {
		undisturbed.install(rel(t), options)
		stops := 0
		for at := 1; at <= 9; at++ {
			stops += disturbed.interrupted(
				rel(t),
				options,
				func(cancel context.CancelFunc) installer.Reporter { return boundary{at: at, cancel: cancel} },
			)
		}
		for n := 3; n <= 12; n += 3 {
			stops += disturbed.interrupted(rel(t), options, func(cancel context.CancelFunc) installer.Reporter {
				return &interrupter{left: n, cancel: cancel}
			})
		}
		if stops < 6 {
			t.Errorf("round %d was interrupted %d times", round, stops)
		}
		disturbed.install(rel(t), options)
		if got := unlike(undisturbed.everything(false), disturbed.everything(false)); len(got) > 0 {
			t.Errorf("round %d: these differ from an undisturbed run: %v", round, got)
		}
		a, _ := installer.ReadInventory(t.Context(), undisturbed.Client())
		b, _ := installer.ReadInventory(t.Context(), disturbed.Client())
		if !b.Complete || !reflect.DeepEqual(a.Objects, b.Objects) || len(b.Attempted) > 0 {
			t.Errorf("round %d: the inventories differ", round)
		}
		for _, each := range []*target{undisturbed, disturbed} {
			each.edit("feature-flags", `{"enable-api-fields":"alpha"}`)
		}
	}
}

// interrupted applies until the reporter cancels; it returns 1 if it did.
func (c *target) interrupted(
	rel installer.Release,
	options installer.Options,
	report func(context.CancelFunc) installer.Reporter,
) int {
	c.t.Helper()
	options.Interval = often
	plan, err := c.plan(rel, options)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	_, err = c.Apply(ctx, plan, options, report(cancel))
	switch {
	case errors.Is(err, context.Canceled):
		return 1
	case err != nil && !strings.Contains(err.Error(), "context canceled"):
		c.t.Fatal(err)
	case err != nil:
		return 1
	}
	return 0
}

// Nothing is written when a check, the dry run or the user's rights fail.
func TestNothingIsWrittenWhenRefused(t *testing.T) {
	t.Parallel()
	c := start(t)
	before := c.everything(true)
	refusedByServer := mini("v1.0.0", "")(t)
	refusedByServer.Objects = append(
		refusedByServer.Objects,
		parse(
			t,
			"apiVersion: v1\nkind: Service\nmetadata: {name: bad, namespace: tekton-pipelines}\nspec: {ports: [{port: 99999}]}\n",
		)...)
	unknownKind := mini("v1.0.0", "")(t)
	unknownKind.Objects = append(
		unknownKind.Objects,
		parse(
			t,
			"apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: old, namespace: tekton-pipelines}\n",
		)...)
	tests := []struct {
		name    string
		rel     installer.Release
		options installer.Options
		want    string
	}{
		{"too old for this Kubernetes", mini("v0.27.3", "")(t), atOnce, "cannot work on Kubernetes v1.3"},
		{
			"a kind that is not served",
			unknownKind,
			atOnce,
			"Ingress/tekton-pipelines/old is of extensions/v1beta1, which this server does not serve",
		},
		{
			"an image that the mirror lacks",
			mini("v1.0.0", "")(t),
			installer.Options{
				Findings: []installer.Finding{{Category: "images", Fatal: true, Sentence: "no such image"}},
			},
			"no such image",
		},
		{
			"an object that the server refuses",
			refusedByServer,
			atOnce,
			"the server would refuse part of it: Service/tekton-pipelines/bad",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.Plan(t.Context(), tt.rel, tt.options)
			if err == nil || !strings.Contains(err.Error(), "nothing was changed") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
			if changed := unlike(before, c.everything(true)); len(changed) > 0 {
				t.Errorf("it wrote %v", changed)
			}
		})
	}
}

// What a user may not do is said before anything is done, grouped.
func TestTrap36_PermissionsAreAskedForBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.create("test", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: half}
rules: [{apiGroups: ["", apps], resources: ["*"], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: half}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: half}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: half}]
`)
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "half"}
	half := connectTo(t, config)
	before := c.everything(true)
	_, err := half.plan(mini("v1.0.0", "")(t), atOnce)
	for _, want := range []string{
		"permissions: you may not ", "create customresourcedefinitions.apiextensions.k8s.io",
		"patch horizontalpodautoscalers.autoscaling in tekton-pipelines", "cluster-admin",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "create deployments") {
		t.Errorf("error %v names what is allowed", err)
	}
	if changed := unlike(before, c.everything(true)); len(changed) > 0 {
		t.Errorf("it wrote %v", changed)
	}
}

// chain are releases from the oldest that anybody still asks for to today's.
var chain = []struct{ pipeline, triggers string }{
	{"v0.27.3", "v0.16.1"}, {"v0.38.4", "v0.20.2"}, {"v0.44.0", "v0.22.1"}, {"v0.59.6", "v0.27.0"},
	{"v0.62.0", "v0.29.0"}, {"v1.0.4", "v0.31.0"}, {"v1.9.6", "v0.34.0"}, {"v1.15.1", "v0.37.0"},
}

func TestInstallEveryRelease(t *testing.T) {
	t.Parallel()
	for _, v := range chain {
		t.Run(v.pipeline, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			c.node()
			rel := assembled(t, v.pipeline, v.triggers)
			options := installer.Options{Wait: true, Timeout: 2 * time.Minute, Force: v.pipeline == "v0.27.3"}
			if options.Force {
				if _, err := c.plan(rel, atOnce); err == nil || !strings.Contains(err.Error(), "install v0.38.4") {
					t.Errorf("without --force: error %v", err)
				}
			}
			plan, done := c.install(rel, options)
			if n := len(done.ToGroupedMap()[ssa.CreatedAction]); n != len(plan.Release.Objects) {
				t.Errorf("created %d of %d", n, len(plan.Release.Objects))
			}
			if _, done = c.install(assembled(t, v.pipeline, v.triggers), options); len(
				done.ToGroupedMap()[ssa.UnchangedAction],
			) != len(
				plan.Release.Objects,
			) {
				t.Errorf("the second time configured %v", done.ToGroupedMap()[ssa.ConfiguredAction])
			}
			if got := rel.Versions; got.Pipeline != v.pipeline || got.Triggers != v.triggers {
				t.Errorf("the release calls itself %+v", got)
			}
		})
	}
}

const usersObjects = `
apiVersion: tekton.dev/v1beta1
kind: Task
metadata: {name: build, namespace: default}
spec: {steps: [{name: a, image: alpine, script: echo}]}
---
apiVersion: tekton.dev/v1beta1
kind: ClusterTask
metadata: {name: everywhere}
spec: {steps: [{name: a, image: alpine, script: echo}]}
---
apiVersion: tekton.dev/v1beta1
kind: TaskRun
metadata: {name: ran, namespace: default}
spec: {taskRef: {name: build}}
`

// Upgrades along the whole chain keep what the user changed and made.
func TestUpgradeChain(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.node()
	for i, v := range chain {
		options := installer.Options{Wait: true, Timeout: 2 * time.Minute, Force: i == 0}
		rel := assembled(t, v.pipeline, v.triggers)
		// There is no webhook to convert between versions here: what a version
		// other than the stored one is asked for is taken as it is.
		noConversion(rel)
		plan, done := c.install(rel, options)
		actions := done.ToGroupedMap()
		t.Logf(
			"%s: %d created, %d configured, %d unchanged, %d deleted; kept %d keys; notes %q",
			v.pipeline,
			len(actions[ssa.CreatedAction]),
			len(actions[ssa.ConfiguredAction]),
			len(actions[ssa.UnchangedAction]),
			len(actions[ssa.DeletedAction]),
			kept(plan),
			plan.Notes,
		)
		if i == 0 {
			c.create("kubectl-create", usersObjects)
			c.edit("feature-flags", `{"disable-creds-init":"true","my-own":"key"}`)
			c.edit("config-defaults", `{"default-timeout-minutes":"90"}`)
		} else if got := kept(plan); got < 2 {
			t.Errorf("%s: kept %d keys: %v", v.pipeline, got, plan.Merges)
		}
		flags, defaults := c.data("tekton-pipelines", "feature-flags"), c.data("tekton-pipelines", "config-defaults")
		if flags["disable-creds-init"] != "true" || flags["my-own"] != "key" ||
			defaults["default-timeout-minutes"] != "90" {
			t.Errorf("%s: the user's settings are gone: %v %v", v.pipeline, flags, defaults)
		}
		if _, again := c.install(rel, options); len(
			again.ToGroupedMap()[ssa.UnchangedAction],
		) != len(
			plan.Release.Objects,
		) {
			t.Errorf(
				"%s: a second time configured %v, created %v, deleted %v",
				v.pipeline,
				again.ToGroupedMap()[ssa.ConfiguredAction],
				again.ToGroupedMap()[ssa.CreatedAction],
				again.ToGroupedMap()[ssa.DeletedAction],
			)
		}
	}
	for _, obj := range parse(t, usersObjects) {
		if c.get(obj.GetAPIVersion(), obj.GetKind(), obj.GetNamespace(), obj.GetName()) == nil {
			t.Errorf("%s %s is gone", obj.GetKind(), obj.GetName())
		}
	}
	if c.get("v1", "ConfigMap", "tekton-pipelines", "config-artifact-pvc") != nil {
		t.Error("config-artifact-pvc, which v1.15.1 lacks, is still there")
	}
	if _, stale := c.data("tekton-pipelines", "feature-flags")["disable-home-env-overwrite"]; stale {
		t.Error("a flag that no release has had for years is still there")
	}
}

func kept(plan *installer.Plan) int {
	n := 0
	for _, m := range plan.Merges {
		if m.Outcome == installer.KeyKept {
			n++
		}
	}
	return n
}

func noConversion(rel installer.Release) {
	for _, obj := range rel.Objects {
		if spec, ok := obj.Object["spec"].(map[string]any); ok && obj.GetKind() == "CustomResourceDefinition" {
			delete(spec, "conversion")
		}
	}
}

// A user without an inventory is met in the chain's first step; here the same
// release was applied by kubectl, and its user's edits are kept as well.
func TestTakesOverFromKubectl(t *testing.T) {
	t.Parallel()
	c := start(t)
	rel := mini("v1.0.0", "stale: \"1\"")(t)
	for _, obj := range rel.Objects {
		applyLikeKubectl(c, obj)
	}
	c.edit("feature-flags", `{"enable-api-fields":"alpha"}`)
	plan, _ := c.install(mini("v1.1.0", "")(t), atOnce)
	data := c.data("tekton-pipelines", "feature-flags")
	if data["enable-api-fields"] != "alpha" || data["stale"] != "" {
		t.Errorf("data is %v, merges %+v", data, plan.Merges)
	}
	live := c.get("apps/v1", "Deployment", "tekton-pipelines", "tekton-pipelines-controller")
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == "kubectl-client-side-apply" {
			t.Error("kubectl still owns fields")
		}
	}
	if _, left := live.GetAnnotations()["kubectl.kubernetes.io/last-applied-configuration"]; left {
		t.Error("kubectl's copy is still there")
	}
	if _, done := c.install(mini("v1.1.0", "")(t), atOnce); len(done.ToGroupedMap()[ssa.ConfiguredAction]) > 0 {
		t.Errorf("a second time configured %v", done.ToGroupedMap()[ssa.ConfiguredAction])
	}
}
