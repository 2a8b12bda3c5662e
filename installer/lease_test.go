package installer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
)

// shortLease is how long Leases last in tests. Renewals have to come through on a loaded
// machine.
const shortLease = 5 * time.Second

var briefly = installer.Options{Timeout: time.Minute, Lease: shortLease, Interval: often}

func (c *target) lease() *unstructured.Unstructured {
	c.t.Helper()
	return c.get("coordination.k8s.io/v1", "Lease", "tekgate", installer.LeaseName)
}

// exclusively runs do with the Lease that an install takes.
func (c *target) exclusively(do func(context.Context) error) error {
	return installer.Exclusively(c.t.Context(), c.Client(), shortLease, func(string) {}, do)
}

// TestSecondInstallIsRefused holds that of two installs the second writes nothing, and is
// told who runs the first one and since when.
func TestSecondInstallIsRefused(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.create("test", "apiVersion: v1\nkind: Namespace\nmetadata: {name: tekgate}\n")
	plan, err := c.plan(mini("v1.0.0", "")(t), briefly)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-time.Second)
	err = c.exclusively(func(ctx context.Context) error {
		done, err := c.Apply(ctx, plan, briefly, silent{})
		var held *installer.HeldError
		if !errors.As(err, &held) || held.Since.Before(began) || held.Since.After(time.Now()) ||
			!strings.Contains(held.Error(), "(process ") ||
			!strings.Contains(held.Error(), "since "+began.UTC().Format("2006-")) {
			t.Errorf("the second install ends with %v", err)
		}
		if len(done.Entries) > 0 {
			t.Errorf("the second install wrote %d objects", len(done.Entries))
		}
		return ctx.Err()
	})
	if err != nil {
		t.Errorf("the first install: %v", err)
	}
	if c.lease() != nil {
		t.Error("the Lease is left")
	}
	c.install(mini("v1.0.0", "")(t), briefly)
	if c.lease() != nil {
		t.Error("an install leaves its Lease")
	}
}

// TestLeaseOfTheDead holds that an install goes on after one that was killed, whatever the
// clock of its machine was.
func TestLeaseOfTheDead(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.create("test", `
apiVersion: v1
kind: Namespace
metadata: {name: tekgate}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: tekgate-install, namespace: tekgate}
spec: {holderIdentity: nobody@nowhere, leaseDurationSeconds: 15, renewTime: "2099-01-01T00:00:00.000000Z"}
`)
	began := time.Now()
	c.install(mini("v1.0.0", "")(t), briefly)
	if took := time.Since(began); took < shortLease {
		t.Errorf("the Lease was taken over after %s, and lasts %s", took, shortLease)
	}
	if c.lease() != nil {
		t.Error("the Lease is left")
	}
}

// TestLostLease holds that an install ends when another one has taken its Lease.
func TestLostLease(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.create("test", "apiVersion: v1\nkind: Namespace\nmetadata: {name: tekgate}\n")
	err := c.exclusively(func(ctx context.Context) error {
		c.merge("other", "coordination.k8s.io/v1", "Lease", "tekgate", installer.LeaseName,
			`{"spec":{"holderIdentity":"somebody@else"}}`)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(4 * shortLease):
			return errors.New("it goes on")
		}
	})
	if err == nil || !strings.Contains(err.Error(), "the Lease tekgate/tekgate-install was lost") {
		t.Errorf("error %v", err)
	}
	if held := c.lease(); held == nil {
		t.Error("the other holder's Lease was deleted")
	}
}

// TestStalePlan holds that a plan is not applied to an installation that has changed since.
func TestStalePlan(t *testing.T) {
	t.Parallel()
	c := start(t)
	older, err := c.plan(mini("v1.0.0", "")(t), briefly)
	if err != nil {
		t.Fatal(err)
	}
	c.install(mini("v1.1.0", "")(t), briefly)
	before := c.everything(true)
	done, err := c.Apply(t.Context(), older, briefly, silent{})
	if err == nil || !strings.Contains(err.Error(), "has changed this installation since the plan was made") {
		t.Errorf("a stale plan ends with %v", err)
	}
	if changed := unlike(before, c.everything(true)); len(done.Entries) > 0 || len(changed) > 0 {
		t.Errorf("a stale plan wrote %v", changed)
	}

	inventory, err := installer.ReadInventory(t.Context(), c.Client())
	if err != nil {
		t.Fatal(err)
	}
	c.merge("other", "v1", "Secret", "tekgate", installer.InventoryName, `{"metadata":{"annotations":{"a":"b"}}}`)
	for name, read := range map[string]*installer.Inventory{"an older one": inventory, "none": nil} {
		err := installer.WriteInventory(t.Context(), c.Client(), inventory, read)
		if err == nil || !strings.Contains(err.Error(), "since the plan was made") {
			t.Errorf("an inventory was written over another than %s, error %v", name, err)
		}
	}
}

// TestEarlier holds which release a rollback returns to.
func TestEarlier(t *testing.T) {
	t.Parallel()
	c := start(t)
	earlier := func() string {
		t.Helper()
		inventory, err := installer.ReadInventory(t.Context(), c.Client())
		if err != nil {
			t.Fatal(err)
		}
		if inventory.Earlier() == nil {
			return ""
		}
		return inventory.Earlier().Versions.Pipeline
	}
	c.install(mini("v1.0.0", "")(t), briefly)
	if got := earlier(); got != "" {
		t.Errorf("before the first upgrade it is %q", got)
	}
	c.install(mini("v1.1.0", "")(t), briefly)
	c.install(mini("v1.1.0", "")(t), briefly)
	if got := earlier(); got != "v1.0.0" {
		t.Errorf("after an upgrade, applied twice, it is %q", got)
	}
	if c.interrupted(mini("v1.2.0", "")(t), briefly, func(cancel context.CancelFunc) installer.Reporter {
		return &interrupter{left: 10, cancel: cancel}
	}) != 1 {
		t.Fatal("the upgrade was not interrupted")
	}
	if got := earlier(); got != "v1.1.0" {
		t.Errorf("after an upgrade that was interrupted it is %q", got)
	}
	anyway := briefly
	anyway.Force = true // it is older than what was attempted
	c.install(mini("v1.1.0", "")(t), anyway)
	if got := earlier(); got != "v1.0.0" {
		t.Errorf("after the return it is %q", got)
	}
}

// TestOldDeliveries holds that an install removes the Leases of deliveries that earlier
// versions kept in Tekgate's own namespace, and no other Leases.
func TestOldDeliveries(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.node()
	c.create("earlier", `{apiVersion: v1, kind: Namespace, metadata: {name: tekgate}}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: replay-1, namespace: tekgate, labels: {tekgate.dev/replay-namespace: ci}}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: other, namespace: tekgate}
`)
	c.install(embedded(t), atOnce)
	for name, want := range map[string]bool{"replay-1": false, "other": true} {
		if got := c.get("coordination.k8s.io/v1", "Lease", "tekgate", name) != nil; got != want {
			t.Errorf("Lease %s is there: %v", name, got)
		}
	}
}
