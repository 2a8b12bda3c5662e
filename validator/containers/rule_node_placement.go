package containers

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var nodePlacementRule = &rule.Rule{
	ID:        "node-placement",
	Severity:  rule.Error,
	OptIn:     true,
	Kinds:     rule.Runs,
	AtUse:     true,
	NotInPods: true,
	Doc: `Finds runs whose podTemplate asks for nodes that are not theirs: a nodeSelector with a
label, or a toleration of a taint, whose key is not in
validator.policy.security.pods.nodeKeys (* stands for any characters but a slash).

Taints keep builds away from the control plane and from other teams' nodes. A
toleration without a key tolerates all of them. An empty list allows all. Affinities
are not looked at; the rule pod-template-field can forbid them.`,
	Check: checkNodePlacement,
}

func checkNodePlacement(_ context.Context, p *rule.Pass) {
	allowed := rule.PolicyOf[SecurityPolicy](p).Pods.NodeKeys
	if len(allowed) == 0 {
		return
	}
	const remedy = "validator.policy.security.pods.nodeKeys does not list: remove it, or have the list extended"
	var r object.Reader
	for _, template := range podTemplatesIn(p) {
		for _, key := range slices.Sorted(maps.Keys(r.Fields(template.Fields, "nodeSelector"))) {
			if !rule.MatchesAny(allowed, key) {
				p.Report(rule.Join(template.Path+".nodeSelector", key),
					"the nodeSelector names label %q, which %s",
					key, remedy)
			}
		}
		for i, toleration := range r.FieldsList(template.Fields, "tolerations") {
			at := fmt.Sprintf("%s.tolerations[%d]", template.Path, i)
			switch key := r.Text(toleration, "key"); {
			case key == "":
				p.Report(at,
					"a toleration without a key tolerates every taint, those of the control plane too: name the taint")
			case !rule.MatchesAny(allowed, key):
				p.Report(at, "the toleration is of taint %q, which %s", key, remedy)
			}
		}
	}
}
