// Package peers runs the admission servers that the benchmarks compare.
//
// Gatekeeper, Kyverno and the pod identity webhook are built from their own modules at
// pinned versions. They run beside a cluster's API server with their own CRDs, and with
// policies that do Tekgate's job as their documentation recommends. Tekton's webhook is
// in package tekton.
package peers
