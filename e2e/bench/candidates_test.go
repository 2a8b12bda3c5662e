package main

import (
	"slices"
	"strings"
	"testing"
)

// A candidate that does not do its job is an error, and so is no admission that does one.
func TestCheckJob(t *testing.T) {
	all := strings.Join(jobTraces, " ")
	for _, tt := range []struct {
		candidate, answer string
		want              bool
	}{
		{tekgate, all, true}, {tekgate, strings.Join(jobTraces[1:], " "), false},
		{noAdmission, "{}", true}, {noAdmission, all, false},
	} {
		if err := checkJob(tt.candidate, []byte(tt.answer)); (err == nil) != tt.want {
			t.Errorf("%s with %q gives %v", tt.candidate, tt.answer, err)
		}
	}
}

// Each candidate has a Namespace of its own, with a valid name.
func TestNamespaces(t *testing.T) {
	var namespaces []string
	for _, candidate := range []string{
		noAdmission, noAdmissionAgain, null, tekgate, tekgateValidating, admissionPolicy, gatekeeper, kyvernoPolicy,
		kyvernoCEL, podIdentity,
	} {
		namespaces = append(namespaces, namespace(candidate))
	}
	if got := slices.Compact(slices.Sorted(slices.Values(namespaces))); len(got) != len(namespaces) {
		t.Errorf("two candidates share one of %v", namespaces)
	}
	for _, name := range namespaces {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("%q is no valid name of a Namespace", name)
		}
	}
}
