// Package peers runs the admission servers that Tekgate's is compared with beside a
// cluster's API server: Gatekeeper, Kyverno and the pod identity webhook, each built
// from its own module at a pinned version, with its own CRDs, and with policies that
// do our job in the way its documentation advises. Tekton's webhook is package
// tekton's.
package peers
