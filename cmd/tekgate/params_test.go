package main

import (
	"reflect"
	"slices"
	"testing"

	"github.com/tekgate/tekgate/internal/hooks"
	"github.com/tekgate/tekgate/validator"
)

// TestValidatorKnowsTheInterceptorsParams holds the validator's list of params to the
// interceptor's own: the two packages may not import one another.
func TestValidatorKnowsTheInterceptorsParams(t *testing.T) {
	var own []string
	for _, p := range append(slices.Clone(hooks.Params), hooks.GenericParams...) {
		own = append(own, p.Name)
	}
	listed := slices.Clone(validator.TekgateParams)
	slices.Sort(own)
	slices.Sort(listed)
	if !slices.Equal(own, listed) {
		t.Errorf("the interceptor takes %v, and the validator knows %v", own, listed)
	}
}

// TestValidatorKnowsTheProviders does the same for providers and modes.
func TestValidatorKnowsTheProviders(t *testing.T) {
	var own []validator.TekgateProvider
	for _, p := range hooks.Providers {
		known := validator.TekgateProvider{Name: p.Name, Explicit: p.ExplicitMode}
		for _, mode := range p.Modes {
			known.Modes = append(known.Modes, mode.Name)
		}
		own = append(own, known)
	}
	if !reflect.DeepEqual(own, validator.TekgateProviders) {
		t.Errorf("the interceptor has %+v, and the validator knows %+v", own, validator.TekgateProviders)
	}
}
