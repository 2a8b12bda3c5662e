package main

import (
	"bytes"
	"fmt"
	"strings"
)

// The candidates.
const (
	null              = "null"
	tekgate           = "tekgate"
	tekgateValidating = "tekgate with validation" // the validating webhooks of an installation, too
	kubebuilder       = "kubebuilder"
	gatekeeper        = "gatekeeper"
	kyvernoPolicy     = "kyverno ClusterPolicy"
	kyvernoCEL        = "kyverno MutatingPolicy"
	tektonDefaulting  = "tekton defaulting"
	podIdentity       = "pod-identity"
	admissionPolicy   = "MutatingAdmissionPolicy" // exported from Tekgate's configuration
	noAdmission       = "no admission"
	// noAdmissionAgain is a second Namespace without admission. The difference between
	// the two is the resolution of the figures.
	noAdmissionAgain = "no admission, again"
)

// optional returns the candidates that can be left out.
func optional() []string {
	return []string{tekgate, kubebuilder, gatekeeper, kyvernoPolicy, kyvernoCEL, tektonDefaulting, podIdentity}
}

// named reports whether a name on the command line means a candidate: "kyverno" means
// both of Kyverno's.
func named(candidate, name string) bool {
	return candidate == name || strings.HasPrefix(candidate, name+" ")
}

// namespace returns the Namespace of a candidate on a control plane.
func namespace(candidate string) string {
	return "bench-" + strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(candidate))
}

// checkJob returns an error unless an object has what the candidate had to add to it. The
// candidate without admission must have added nothing.
func checkJob(candidate string, object []byte) error {
	want := candidate != noAdmission
	for _, trace := range jobTraces {
		if got := bytes.Contains(object, []byte(trace)); got != want {
			return fmt.Errorf("%s: the created object contains %s: %v, want %v", candidate, trace, got, want)
		}
	}
	return nil
}
