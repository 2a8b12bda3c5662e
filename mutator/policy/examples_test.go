package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/policy"
	"github.com/tekgate/tekgate/mutator/record"
)

// exportable is a configuration with every rule that is exported.
const exportable = `
mirror:
  rules:
  - {match: docker.io/**, to: "mirror.example.com/hub/{path}"}
  - {match: ghcr.io/**, to: "mirror.example.com/ghcr/{path}"}
mutator:
  serviceAccount: {name: builder}
  env:
    set:
    - {steps: {images: [docker.io/library/node, "gcr.io/**"]}, variables: [{name: NPM_CONFIG_REGISTRY, value: "https://npm.example.com"}]}
    - {steps: {names: ["build*"]}, variables: [{name: GOPROXY, value: "https://goproxy.example.com"}]}
  resources: {set: [{requests: {cpu: 100m, memory: 128Mi}}]}
  imagePullSecrets: {names: [mirror]}
  podTemplate:
    tolerations: [{key: builds, operator: Exists}]
    dnsConfig: {options: [{name: ndots, value: "2"}]}
  imageMirror: {enabled: true, entrypoints: "off"}
`

// prepared is a case without an object, under a configuration, in a Namespace of its own.
func (b *bed) prepared(config, space string) testCase {
	b.Helper()
	c := testCase{name: space, rule: "together", space: space, config: file{Mutator: mutator.Default()},
		world: world{ServiceAccounts: map[string]mutator.Account{
			"default": {Secrets: []string{"registry"}}, "builder": {Secrets: []string{"registry"},
				PullSecrets: []string{"own"}},
		}}}
	c.parse(b.T, config)
	b.world(space, c.world)
	return c
}

// TestExamples holds the policies of two configurations to the mutator's code with
// Tekton's own examples: the default, and one with every rule on. Tasks, Pipelines and
// StepActions of these are sent as if a resolver had fetched them. What the policies make
// of each is the same when they are there twice.
func TestExamples(t *testing.T) {
	b := newBed(t)
	cases := []testCase{b.prepared("{}", "plain"), b.prepared(exportable, "all")}
	for _, c := range cases {
		set := c.set(t)
		b.enforce(set)
		type outcome struct {
			testCase
			got map[string]any
		}
		count, changed, once := 0, 0, map[string]outcome{}
		for _, example := range golden.Examples(t, "github.com/tektoncd/pipeline") {
			if example.Err != nil {
				t.Fatal(example.Err)
			}
			if !served(kindOf(t, example.JSON)) {
				continue
			}
			c.input = example.JSON
			name := fmt.Sprintf("%s/%s#%d", c.space, example.File, example.Index)
			t.Run(name, func(t *testing.T) {
				count++
				got := b.example(t, c, set)
				if got != nil && got["metadata"].(map[string]any)["annotations"] != nil {
					changed++
				}
				once[name] = outcome{c, got}
			})
		}
		b.enforce(twice(set))
		for name, o := range once {
			t.Run(name+", twice", func(t *testing.T) { b.repeat(t, o.testCase, o.got) })
		}
		t.Logf("%s: %d examples, %d changed by policies", c.space, count, changed)
		if count < 150 || c.space == "all" && changed < 100 {
			t.Errorf("%s: only %d examples, of which %d are changed", c.space, count, changed)
		}
	}
}

// example returns what the policies make of the object, nil where it is refused. Where a
// run asks for more than CEL can say, what the policies did is a part of what the mutator
// does.
func (b *bed) example(t *testing.T, c testCase, set *policy.Set) map[string]any {
	t.Helper()
	at := *b
	at.T = t
	want, refused := at.made(c.exported(set).mutator(t), c.input, c.space)
	got, err := at.sent(c.input, c.space)
	if err != nil || refused != nil {
		if (refused == nil) != (err == nil) {
			t.Errorf("the API server says %v, and of what the mutator makes of it %v", err, refused)
		}
		return nil
	}
	switch diff := same(got, want); {
	case diff != "" && limitedExample(t, c):
		t.Log("a part is left to the webhook")
	case diff != "":
		t.Errorf("the policies do not what the mutator does:\n%s", diff)
	}
	at.beside(c, got)
	return got
}

// limitedExample tells whether a run holds what a limit names: a parameter in an
// image, a ServiceAccount that does not exist, a pipeline within a pipeline.
func limitedExample(t *testing.T, c testCase) bool {
	t.Helper()
	text := string(c.input)
	pipelines := strings.Count(text, `"pipelineSpec"`)
	if kindOf(t, c.input).Kind == "Pipeline" {
		pipelines++
	}
	if strings.Contains(text, `"image":"$(`) || strings.Contains(text, `"pipelineSpec":{"tasks"`) && pipelines > 1 {
		return true
	}
	var fields map[string]any
	if err := json.Unmarshal(c.input, &fields); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(accountsOf(fields), func(name string) bool {
		_, exists := c.world.ServiceAccounts[name]
		return !exists
	})
}

// accountsOf returns every name of a ServiceAccount in the object.
func accountsOf(value any) []string {
	var found []string
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			found = append(found, accountsOf(element)...)
		}
	case map[string]any:
		for key, element := range value {
			if name, is := element.(string); is && (key == "serviceAccountName" || key == "taskServiceAccountName") {
				found = append(found, name)
			}
			found = append(found, accountsOf(element)...)
		}
	}
	return found
}

// TestTwentySteps holds the policies to the API server's limits of cost: a run with
// twenty long steps, every rule on, is changed in each step; and the record is the
// mutator's own, so that a webhook adds nothing.
func TestTwentySteps(t *testing.T) {
	b := newBed(t)
	c := b.prepared(exportable, "twenty")
	c.input = twentySteps(t)
	set := c.set(t)
	b.enforce(set)
	b.compare(t, c, set)
	got, err := b.sent(c.input, c.space)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), "DOCKER_CONFIG"); n != 20 {
		t.Errorf("%d of 20 steps have DOCKER_CONFIG", n)
	}
	out, err := c.exported(set).mutator(t).Mutate(t.Context(), mutator.Request{Kind: kindOf(t, raw), Namespace: c.space,
		Raw: raw})
	if err != nil || len(out.Did()) != 0 {
		t.Errorf("a webhook beside the policies does %v, error %v", out.Did(), err)
	}
	var mutated record.Mutated
	note, _ := got["metadata"].(map[string]any)["annotations"].(map[string]any)[wellknown.MutatedKey].(string)
	if err := json.Unmarshal([]byte(note), &mutated); err != nil || mutated.Config != c.mutator(t).Hash() ||
		len(mutated.Rules) != forRuns(set) {
		t.Errorf("the record is %s, error %v", note, err)
	}
}

// forRuns counts the policies that are for runs.
func forRuns(set *policy.Set) int {
	count := 0
	for _, p := range set.Policies {
		if slices.Contains(p.Spec.MatchConstraints.ResourceRules[0].Resources, "taskruns") {
			count++
		}
	}
	return count
}

func twentySteps(t *testing.T) []byte {
	t.Helper()
	var steps []any
	for i := range 20 {
		var env, args []any
		for j := range 20 {
			env = append(env, map[string]any{"name": fmt.Sprintf("VARIABLE_%d", j), "value": strings.Repeat("v", 100)})
			args = append(args, "--build-arg=VERSION="+strings.Repeat("1", 100))
		}
		steps = append(steps, map[string]any{
			"name": fmt.Sprintf("build-%d", i), "image": fmt.Sprintf("ghcr.io/osscontainertools/kaniko:v1.28.%d", i),
			"args": args, "env": env,
			"volumeMounts": []any{map[string]any{"name": "cache", "mountPath": "/cache"},
				map[string]any{"name": "cache", "mountPath": "/workspace/$(params.dir)"}},
		})
	}
	raw, err := json.Marshal(map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": map[string]any{"name": "twenty"},
		"spec": map[string]any{"taskSpec": map[string]any{"steps": steps,
			"volumes": []any{map[string]any{"name": "cache", "emptyDir": map[string]any{}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// mirrors are configurations of the rule image-mirror, each with another way of
// saying where images go.
var mirrors = map[string]string{
	"host-path": `{registry: mirror.example.com/all, layout: host-path}`,
	"dotted":    `{registry: "mirror.example.com:5000/all", layout: dotted, digest: drop}`,
	"daocloud":  `{preset: daocloud}`,
	"rules": `{keep: ["quay.io/house/**"], rules: [{match: "**/tektoncd/**", to: "a.example.com/t/{name}"},
		{match: "docker.io/library/*", to: ["{host}.example.com/{path}", "b.example.com/{path}:house"]}, {match: "gcr.io/**", to: "c.example.com/{path}:v1"}, {match: "**", to: "d.example.com/{name}"}]}`,
}

const hexadecimal = "19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791"

// references are names of images as people write them, right and wrong.
var references = []string{
	"busybox", "alpine:3", "a/b", "a/b:c", "A/b:1", "a/B:1", "index.docker.io/alpine",
	"index.docker.io/library/alpine:3", "docker.io/alpine", "docker.io/a/b",
	"localhost/a", "localhost:5000/a:1", "a.b/c", "[::1]:5000/a", "quay.io/house/x:1", "quay.io/a:t@sha256:" +
		hexadecimal, "alpine@sha256:" + hexadecimal,
	"gcr.io/x/y:v1", "gcr.io/x/y:v1@sha256:" + hexadecimal,
	"gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v0.27.3",
	"eu.gcr.io/tekton-releases/dogfooding/a", "evilgcr.io/tekton-releases/x",
	"mirror.example.com/all/docker.io/library/other", "m.daocloud.io/docker.io/library/node:22",
	"c.example.com/x:v1", "d.example.com/x", "cgr.dev/chainguard/busybox@sha256:" + hexadecimal,
	"", "a b", "a//b", "UPPER", "alpine:", "x@sha256:12", "x@md5:" + hexadecimal[:32], hexadecimal, "http://x/y",
	"ghcr.io", "a/b@", "-a/b", "a_b/c__d", "a..b/c", "ü/x",
	"$(params.image)", "docker.io/$(params.image)", "x:" + strings.Repeat("t", 129), "sha256:" + hexadecimal,
}

// TestReferences holds what CEL makes of references to what the mutator does with
// distribution/reference, in a run that has a step for each, and so does a second
// pass over the result.
func TestReferences(t *testing.T) {
	b := newBed(t)
	var steps []any
	for i, ref := range references {
		steps = append(steps, map[string]any{"name": fmt.Sprintf("s-%d", i), "image": ref})
	}
	raw, err := json.Marshal(map[string]any{"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
		"metadata": map[string]any{"name": "references"},
		"spec": map[string]any{"taskSpec": map[string]any{"steps": steps, "sidecars": steps[:3],
			"stepTemplate": map[string]any{"image": "gcr.io/a/b"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, mirror := range mirrors {
		c := b.prepared("{mirror: "+mirror+", mutator: {imageMirror: {enabled: true}, dockerConfig: {disabled: true}, "+
			`env: {set: [{steps: {images: ["docker.io/library/*", "ghcr.io/tektoncd/**", "localhost:5000/**"]}, variables: [{name: A, value: b}]}]}}}`,
			name)
		c.input = raw
		set := c.set(t)
		if forRuns(set) != 2 {
			t.Fatalf("%s: %d policies, remainder %v", name, len(set.Policies), set.Remainder)
		}
		b.enforce(set)
		t.Run(name, func(t *testing.T) {
			b.compare(t, c, set)
			at := *b
			at.T = t
			again, err := at.sent(raw, c.space)
			if err != nil {
				t.Fatal(err)
			}
			if c.input, err = json.Marshal(again); err != nil {
				t.Fatal(err)
			}
			b.compare(t, c, set)
			if twice, err := at.sent(c.input, c.space); err != nil || same(twice, again) != "" {
				t.Errorf("a second pass changes it, error %v:\n%s", err, same(twice, again))
			}
		})
	}
}
