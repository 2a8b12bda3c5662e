package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/shipwright"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// testProjects creates runs in the form in which other projects create them, with every rule
// on: what a project sets stays, but for the names of images, and what it leaves out is filled
// in.
func (b *bed) testProjects() {
	b.shipwright()
	b.pipelinesAsCode()
	b.kueue()
}

// shipwrightBuild is a build by Kaniko in two steps. Like Shipwright's own strategy for it, it
// says where credentials are and leaves the push to a step that Shipwright adds.
const shipwrightBuild = `
serviceAccount: shipwright-sa
build:
  metadata: {name: app, namespace: ci, generation: 2}
  spec:
    source: {type: Git, git: {url: 'https://git.example.com/team/app'}, contextDir: src}
    strategy: {name: kaniko, kind: ClusterBuildStrategy}
    output: {image: 'registry.example.com/team/app:v1', pushSecret: push, labels: {team: a}}
    nodeSelector: {pool: builds}
    tolerations: [{key: own, operator: Exists}]
    timeout: 30m
    paramValues: [{name: dockerfile, value: Containerfile}]
buildRun:
  metadata: {name: app-1, namespace: ci, generation: 1}
  spec: {build: {name: app}, env: [{name: GOFLAGS, value: -mod=vendor}]}
strategy:
  metadata: {name: kaniko, annotations: {example.com/note: kept}}
  spec:
    parameters: [{name: dockerfile, default: Dockerfile}]
    securityContext: {runAsUser: 0, runAsGroup: 0}
    steps:
    - name: prepare
      image: docker.io/library/alpine:3.22
      command: [sh, -c, 'true']
    - name: build-and-push
      image: gcr.io/kaniko-project/executor:v1.24.0
      workingDir: $(params.shp-source-root)
      securityContext: {runAsUser: 0, capabilities: {add: [CHOWN, SETUID]}}
      env:
      - {name: HOME, value: /tekton/home}
      - {name: DOCKER_CONFIG, value: /tekton/home/.docker}
      command: [/kaniko/executor]
      args: [--dockerfile=$(params.dockerfile), --context=$(params.shp-source-context), --destination=$(params.shp-output-image),
        --no-push, --tar-path, $(params.shp-output-directory)/image.tar]
      resources: {requests: {cpu: 250m, memory: 65Mi}, limits: {cpu: 500m, memory: 1Gi}}
`

func (b *bed) shipwright() {
	b.Helper()
	order, err := yaml.YAMLToJSON([]byte(shipwrightBuild))
	if err != nil {
		b.Fatal(err)
	}
	raw, err := shipwright.TaskRun(b.Context(), os.Stderr, order)
	if err != nil {
		b.Fatal(err)
	}
	b.create(b.parse("{apiVersion: v1, kind: ServiceAccount, metadata: {name: shipwright-sa, namespace: ci}, secrets: [{name: push}]}"))
	run := b.intact("Shipwright's TaskRun", string(raw))
	b.has(run, "Shipwright's TaskRun", `"serviceAccountName":"shipwright-sa"`, `"key":"own"`, `"dnsPolicy":"ClusterFirst"`,
		"GOPROXY", `"tekgate.dev/original-images"`)
	if text := fmt.Sprint(run.Object["spec"]); strings.Contains(text, "/tekton/creds/.docker") {
		b.Errorf("DOCKER_CONFIG was replaced: %s", text)
	}
}

// codeRun has what Pipelines-as-Code makes of a PipelineRun in a repository: it brings its Tasks
// along, with the empty fields of its Go types, finds its repository by labels, and mounts a
// Secret of its own for git. With a limit on the runs of a repository it is created pending.
const codeRun = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  generateName: app-
  namespace: ci
  labels:
    app.kubernetes.io/managed-by: pipelinesascode.tekton.dev
    app.kubernetes.io/version: v0.49.0
    pipelinesascode.tekton.dev/url-org: team
    pipelinesascode.tekton.dev/url-repository: app
    pipelinesascode.tekton.dev/repository: app
    pipelinesascode.tekton.dev/event-type: push
    pipelinesascode.tekton.dev/sha: 0123456789abcdef0123456789abcdef01234567
    pipelinesascode.tekton.dev/original-prname: app
    pipelinesascode.tekton.dev/state: queued
  annotations:
    pipelinesascode.tekton.dev/on-event: '[push]'
    pipelinesascode.tekton.dev/on-target-branch: '[main]'
    pipelinesascode.tekton.dev/max-keep-runs: "5"
    pipelinesascode.tekton.dev/sha-title: 'fix: "quotes" and ünicode'
    pipelinesascode.tekton.dev/repo-url: https://git.example.com/team/app
    pipelinesascode.tekton.dev/git-auth-secret: pac-gitauth-abcd
    pipelinesascode.tekton.dev/controller-info: '{"name":"default","configmap":"pipelines-as-code"}'
    pipelinesascode.tekton.dev/state: queued
    pipelinesascode.tekton.dev/execution-order: ci/app-1
spec:
  status: PipelineRunPending
  params: [{name: revision, value: 0123456789abcdef0123456789abcdef01234567}]
  taskRunTemplate: {}
  workspaces:
  - {name: source, emptyDir: {}}
  - {name: basic-auth, secret: {secretName: pac-gitauth-abcd}}
  pipelineSpec:
    params: [{name: revision, type: string}]
    workspaces: [{name: source}, {name: basic-auth}]
    tasks:
    - name: clone
      workspaces: [{name: output, workspace: source}, {name: basic-auth, workspace: basic-auth}]
      taskSpec:
        spec: null
        metadata:
          labels: {app.kubernetes.io/version: "0.9"}
          annotations: {tekton.dev/categories: Git}
        workspaces: [{name: output}, {name: basic-auth, optional: true}]
        steps:
        - {name: clone, image: "docker.io/alpine/git:2.47", computeResources: {}, script: "git clone ."}
    - name: build
      runAfter: [clone]
      taskSpec:
        spec: null
        metadata: {}
        steps:
        - {name: build, image: "gcr.io/kaniko-project/executor:v1.24.0", computeResources: {}, args: [--no-push]}
status: {}
`

func (b *bed) pipelinesAsCode() {
	b.Helper()
	const what = "Pipelines-as-Code's PipelineRun"
	run := b.intact(what, codeRun)
	b.has(run, what, `"serviceAccountName":"builder"`, "DOCKER_CONFIG", "GOPROXY", `"key":"builds"`,
		`"status":"PipelineRunPending"`)
	// Its controller starts it, and notes in metadata what became of it.
	b.starts(what, run, `{"metadata":{"labels":{"pipelinesascode.tekton.dev/state":"started"},`+
		`"annotations":{"pipelinesascode.tekton.dev/state":"started","pipelinesascode.tekton.dev/log-url":"https://example.com"}},`+
		`"spec":{"status":null}}`)
}

// queuedRun is a PipelineRun that waits for its quota: Kueue's webhook has suspended it, and for
// a run on another cluster has named who manages it.
const queuedRun = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  generateName: queued-
  namespace: ci
  labels: {kueue.x-k8s.io/queue-name: builds, kueue.x-k8s.io/priority-class: low}
  annotations: {kueue.konflux-ci.dev/requests-cpu: "2"}
spec:
  status: PipelineRunPending
  managedBy: kueue.x-k8s.io/multikueue
  timeouts: {pipeline: 2h0m0s}
  taskRunTemplate: {podTemplate: {schedulerName: own, env: [{name: GOPROXY, value: own}]}}
  pipelineSpec:
    tasks:
    - {name: a, taskSpec: {steps: [{name: test, image: "golang:1.26", script: go test}]}}
`

func (b *bed) kueue() {
	b.Helper()
	for what, text := range map[string]string{
		"Kueue's PipelineRun":                  queuedRun,
		"Kueue's PipelineRun of this cluster":  strings.Replace(queuedRun, "  managedBy: kueue.x-k8s.io/multikueue\n", "", 1),
		"Kueue's PipelineRun of another's SA":  strings.Replace(queuedRun, "{podTemplate:", "{serviceAccountName: own, podTemplate:", 1),
		"Kueue's PipelineRun without requests": strings.Replace(queuedRun, `kueue.konflux-ci.dev/requests-cpu: "2"`, "", 1),
	} {
		run := b.intact(what, text)
		b.has(run, what, `"status":"PipelineRunPending"`, `"kueue.x-k8s.io/queue-name":"builds"`, `"schedulerName":"own"`)
		b.starts(what, run, `{"spec":{"status":null}}`)
	}
}

// intact creates a run, and fails unless all that it said is still there.
func (b *bed) intact(what, text string) *unstructured.Unstructured {
	b.Helper()
	run := b.parse(text)
	sent := run.DeepCopy()
	delete(sent.Object, "status") // which a creation does not set
	b.create(run)
	originals := map[string]string{}
	if note := run.GetAnnotations()[wellknown.OriginalImagesKey]; note != "" {
		if err := json.Unmarshal([]byte(note), &originals); err != nil {
			b.Fatal(err)
		}
	}
	if where := loses(sent.Object, run.Object, originals, ""); where != "" {
		stored, _ := json.Marshal(run.Object)
		b.Errorf("%s is not what it was at %s: %s", what, where, stored)
	}
	return run
}

// loses returns where a value does not have all of another one, or "". A list may have more
// elements than before, in the same order. Texts are equal, or recorded as images.
func loses(sent, stored any, originals map[string]string, at string) string {
	switch sent := sent.(type) {
	case nil:
		return ""
	case map[string]any:
		fields, is := stored.(map[string]any)
		if !is && len(sent) > 0 {
			return at
		}
		for key, value := range sent {
			if where := loses(value, fields[key], originals, at+"."+key); where != "" {
				return where
			}
		}
		return ""
	case []any:
		list, _ := stored.([]any)
		for i, element := range sent {
			for len(list) > 0 && loses(element, list[0], originals, "x") != "" {
				list = list[1:]
			}
			if len(list) == 0 {
				return fmt.Sprintf("%s[%d]", at, i)
			}
			list = list[1:]
		}
		return ""
	case string:
		if text, _ := stored.(string); text != sent && originals[sent] != text {
			return at
		}
		return ""
	}
	if fmt.Sprint(sent) != fmt.Sprint(stored) {
		return at
	}
	return ""
}

// has fails unless a run has some texts in its JSON.
func (b *bed) has(run *unstructured.Unstructured, what string, texts ...string) {
	b.Helper()
	stored, err := json.Marshal(run.Object)
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(string(stored), text) {
			b.Errorf("%s lacks %s: %s", what, text, stored)
		}
	}
}

// starts applies the patch with which a project's controller starts a pending run. It may change
// nothing else.
func (b *bed) starts(what string, run *unstructured.Unstructured, patch string) {
	b.Helper()
	before := run.DeepCopy()
	if err := b.client.Patch(b.Context(), run, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		b.Errorf("starting %s: %v", what, err)
		return
	}
	unstructured.RemoveNestedField(before.Object, "spec", "status")
	if where := loses(before.Object["spec"], run.Object["spec"], nil, ""); where != "" {
		b.Errorf("starting %s changed its spec at %s", what, where)
	}
	if where := loses(run.Object["spec"], before.Object["spec"], nil, ""); where != "" {
		b.Errorf("starting %s added to its spec at %s", what, where)
	}
}
