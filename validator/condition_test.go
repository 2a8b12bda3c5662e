package validator_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/validator"
)

// bench evaluates the conditions of the webhooks that are installed.
type bench struct {
	*testing.T
	conditions *cluster.Conditions
	hooks      map[string]admissionv1.ValidatingWebhook
	judged     int            // objects that rules had something to say about
	quiet      int            // requests that they had not, or that are not to be judged
	saved      map[string]int // those that were kept away, by webhook and condition
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, conditions: cluster.StartConditions(t), hooks: map[string]admissionv1.ValidatingWebhook{},
		saved: map[string]int{}}
	text, err := os.ReadFile("../manifests/tekgate/500-webhooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var configuration admissionv1.ValidatingWebhookConfiguration
		if err := yaml.Unmarshal([]byte(document), &configuration); err != nil {
			t.Fatal(err)
		}
		for _, hook := range configuration.Webhooks {
			if configuration.Kind == "ValidatingWebhookConfiguration" && len(hook.MatchConditions) > 0 {
				b.hooks[hook.Name] = hook
			}
		}
	}
	return b
}

// TestConditions holds, for all cases of the rules with the configuration of each and
// with others, that an object which a rule finds fault with is asked about, by the
// API server's own code; and that each condition keeps some requests away.
func TestConditions(t *testing.T) {
	b := newBench(t)
	random := rand.New(rand.NewPCG(3, 4)) // the same each time
	for _, folder := range golden.Folders(t) {
		v := load(t, folder)
		raw := golden.JSON(t, golden.Read(t, folder+"/object.yaml"))
		id := v.Rules[0].ID
		alone := allOff()
		alone[id] = validator.RuleConfig{Mode: validator.Warn}
		only := allOff()
		only[id] = validator.RuleConfig{Mode: validator.Off,
			Namespaces: []validator.NamespaceMode{{Match: []string{"c?", "team-*"}, Mode: validator.Enforce}}}
		for _, rules := range []map[string]validator.RuleConfig{v.Config.Rules, alone, only, anyRules(random),
			anyRules(random)} {
			v := *v
			v.Rules, v.Registry, v.Files = nil, nil, nil // as in admission
			v.Config.Rules = rules
			b.try(folder, &v, raw)
		}
	}
	for range 200 {
		v := validator.Validator{Config: validator.Default()}
		v.Config.Rules, v.Config.Pods = anyRules(random), random.IntN(2) == 0
		b.try("a Pod", &v, golden.JSON(t, []byte(onNode)))
	}
	b.Logf("%d objects with findings, and %d requests that need no judgement", b.judged, b.quiet)
	for _, key := range slices.Sorted(maps.Keys(b.saved)) {
		b.Logf("%s kept %d of these away", key, b.saved[key])
	}
	for name, hook := range b.hooks {
		for _, condition := range hook.MatchConditions {
			if key := name + " " + condition.Name; b.saved[key] == 0 {
				t.Errorf("%s keeps nothing away", key)
			}
		}
	}
}

// onNode is a Pod of a TaskRun with much that rules find fault with.
const onNode = `{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ci}, spec: {hostNetwork: true,
  containers: [{name: step-a, image: docker, securityContext: {privileged: true}}],
  volumes: [{name: node, hostPath: {path: /}}]}}`

func allOff() map[string]validator.RuleConfig {
	rules := map[string]validator.RuleConfig{}
	for _, rule := range validator.Rules {
		rules[rule.ID] = validator.RuleConfig{Mode: validator.Off}
	}
	return rules
}

// anyRules switches most rules off, and others in some namespaces.
func anyRules(random *rand.Rand) map[string]validator.RuleConfig {
	rules := allOff()
	patterns := [][]string{{"ci"}, {"c*"}, {"team-?"}, {"[a-d]i"}, {"other", "*"}}
	modes := []validator.Mode{validator.Off, validator.Audit, validator.Enforce}
	on := random.IntN(60)
	for _, rule := range validator.Rules {
		if random.IntN(60) < on {
			continue
		}
		config := validator.RuleConfig{Mode: modes[random.IntN(2)]}
		for range random.IntN(3) {
			config.Namespaces = append(config.Namespaces,
				validator.NamespaceMode{Match: patterns[random.IntN(len(patterns))], Mode: modes[random.IntN(3)]})
		}
		rules[rule.ID] = config
	}
	return rules
}

// try asks about the creation of an object, and about updates of it.
func (b *bench) try(name string, v *validator.Validator, raw []byte) {
	b.Helper()
	s := subject(b.T, raw)
	resource := strings.ToLower(s.Kind.Kind) + "s"
	for _, hook := range b.hooks {
		if !slices.ContainsFunc(hook.Rules, func(r admissionv1.RuleWithOperations) bool {
			return slices.Contains(r.Resources, resource)
		}) {
			continue
		}
		if strings.HasPrefix(s.Kind.Kind, "Cluster") {
			s.Namespace = ""
		}
		out := v.Judge(b.Context(), s)
		request := cluster.Request{Operation: "CREATE", User: "somebody", Namespace: s.Namespace, Resource: resource,
			Object: decode(b.T, raw)}
		metadata, ok := request.Object["metadata"].(map[string]any)
		if !ok {
			continue // the API server takes no such object
		}
		b.count(name, hook, v.Config, request, len(out.Findings)+len(out.Excepted)+len(out.Unknown) > 0)
		if s.Kind.Kind == "ClusterInterceptor" {
			request.User = "system:serviceaccount:tekgate:tekgate-interceptor"
			b.count(name+", by its server", hook, v.Config, request, false) // which must be able to start
		}
		metadata["ownerReferences"] = []any{map[string]any{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
			"name": "a", "uid": "1"}}
		request.User = mutator.ControllerOf("tekton-pipelines")
		b.count(name+", of a PipelineRun", hook, v.Config, request, false) // judged as a part of it
		request.Operation, request.Old = "UPDATE", decode(b.T, raw)
		b.count(name+", updated", hook, v.Config, request, false)
		metadata["deletionTimestamp"] = "2026-11-25T00:00:00Z"
		b.count(name+", being deleted", hook, v.Config, request, false)
	}
}

func (b *bench) count(name string, hook admissionv1.ValidatingWebhook, config validator.Config,
	request cluster.Request, wanted bool) {
	b.Helper()
	conditions := slices.Clone(hook.MatchConditions)
	for i := range conditions {
		if conditions[i].Name == wellknown.MatchCondition {
			conditions[i].Expression = validator.Conditions(config)[hook.Name]
		}
	}
	answer := b.conditions.Ask(b.T, conditions, request)
	switch {
	case answer.Error != "":
		text, _ := json.Marshal(request.Object)
		b.Errorf("%s, %s: %s\n%s", name, hook.Name, answer.Error, text)
	case wanted && !answer.Matches:
		b.Errorf("%s, %s: kept away by %s, though rules have something to say: %s",
			name, hook.Name, answer.By, validator.Conditions(config)[hook.Name])
	case wanted:
		b.judged++
	default:
		b.quiet++
		if answer.By != "" {
			b.saved[hook.Name+" "+answer.By]++
		}
	}
}

func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	return object
}
