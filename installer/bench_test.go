package installer_test

import (
	"context"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"

	"github.com/tekgate/tekgate/installer"
)

// BenchmarkApplyUnchanged compares a second install, its checks and its dry
// run of everything included, with what fluxcd/pkg/ssa's ApplyAll takes for
// the same objects on the same server.
func BenchmarkApplyUnchanged(b *testing.B) {
	c := start(b)
	rel := embedded(b)
	c.install(rel, atOnce)
	var ours time.Duration
	b.Run("tekgate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plan, err := c.Plan(b.Context(), rel, atOnce)
			if err != nil {
				b.Fatal(err)
			}
			done, err := c.Apply(b.Context(), plan, atOnce, silent{})
			if err != nil || len(done.ToGroupedMap()[ssa.UnchangedAction]) != len(rel.Objects) {
				b.Fatalf("not unchanged: %v", err)
			}
		}
		ours = b.Elapsed() / time.Duration(b.N)
	})
	for name, concurrency := range map[string]int{"ssa": 1, "ssa-concurrent": 8} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			k := c.Client()
			manager := ssa.NewResourceManager(
				k,
				polling.NewStatusPoller(k, k.RESTMapper(), polling.Options{}),
				ssa.Owner{Field: installer.FieldManager, Group: "tekgate.dev"},
			)
			manager.SetConcurrency(concurrency)
			for b.Loop() {
				done, err := manager.ApplyAll(context.Background(), rel.Objects, ssa.DefaultApplyOptions())
				if err != nil || len(done.ToGroupedMap()[ssa.UnchangedAction]) != len(rel.Objects) {
					b.Fatalf("not unchanged: %v", err)
				}
			}
			if ours > 0 {
				b.ReportMetric(float64(b.Elapsed()/time.Duration(b.N))/float64(ours), "times-tekgate")
			}
		})
	}
}
