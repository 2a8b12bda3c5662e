package mutator

import (
	"context"
	"maps"
	"slices"
)

var podTemplateRule = Rule{
	ID:    "pod-template",
	Kinds: runs,
	Doc: `Gives runs what their podTemplate lacks: nodeSelector, tolerations, affinity,
topologySpreadConstraints, securityContext, dnsPolicy, dnsConfig, hostAliases,
priorityClassName, runtimeClassName, schedulerName.

Configured by the fields of these names under ` + "`mutator.podTemplate`" + `. It is set on
PipelineRuns too, for the Pods of their affinity assistants.

Field by field, what is there is left alone, whatever it says; so is a field that
Tekton's default-pod-template sets, for the run's would hide it. Tekton refuses runs
with a field that it does not know. So a field that is newer than the installed
release, or holds one that is, is left out as a whole, and the answer has a warning.`,
	scope: func(s *settings) *scope { return &s.scopes.pod },
	apply: applyPodTemplate,
}

func applyPodTemplate(_ context.Context, p *pass) {
	given, where, ok := p.givenPod()
	if !ok {
		p.not("", "it is not of the shape that Tekton takes")
		return
	}
	for _, field := range slices.Sorted(maps.Keys(p.settings.pod)) {
		if given[field] != nil {
			p.not(where+"."+field, "it is set already")
			continue
		}
		if p.tekton.DefaultPodTemplate[field] != nil {
			p.not(where+"."+field, "Tekton's default-pod-template sets it")
			continue
		}
		newest := p.settings.podNew[field]
		if why := p.tekton.refuses(newest, (*newField).podName); why != "" {
			p.leaveOut(why, "remove mutator."+newest.podName())
			p.not(where+"."+field, why)
			continue
		}
		p.podTemplate()[field] = p.settings.pod[field]
		p.did(where, "set "+field)
	}
}
