package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// lintObjects is how many objects the benchmark judges.
const lintObjects = 5000

// BenchmarkLint judges a repository of 5,000 objects in 500 files by all rules: time
// and memory of the whole run, reading included, and of one object.
//
//	go test ./cmd/tekgate/internal/lint -run xxx -bench Lint -benchmem -benchtime 5x
func BenchmarkLint(b *testing.B) {
	for _, c := range []struct {
		name string
		bad  int // one in so many EventListeners names what does not exist
	}{{"clean", lintObjects}, {"findings", 2}} {
		b.Run(c.name, func(b *testing.B) {
			folder := b.TempDir()
			generate(b, folder, c.bad)
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				_, errOut, err := program.Run(b, "", "lint", folder, "--fail-on", "never")
				if err != nil || !strings.Contains(errOut, fmt.Sprintf("%d objects in 500 files", lintObjects)) {
					b.Fatalf("%v: %s", err, errOut)
				}
			}
			runtime.ReadMemStats(&after)
			n := float64(b.N * lintObjects)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/n, "µs/object")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "B/object")
		})
	}
}

// generate writes files of ten objects each: what a team has for one service.
func generate(b *testing.B, folder string, bad int) {
	b.Helper()
	for i := range lintObjects / 10 {
		binding := fmt.Sprintf("binding-%d", i)
		if (i+1)%bad == 0 {
			binding += "-not"
		}
		var text strings.Builder
		fmt.Fprintf(&text, listenerText, i, i, binding)
		fmt.Fprintf(&text, bindingText, i)
		fmt.Fprintf(&text, templateText, i, i)
		fmt.Fprintf(&text, pipelineText, i)
		for n := range 6 {
			fmt.Fprintf(&text, taskText, i, n)
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("service-%d.yaml", i)), []byte(text.String()),
			0o600); err != nil {
			b.Fatal(err)
		}
	}
}

const (
	listenerText = `# The listener of a service.
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: service-%d, namespace: ci}
spec:
  serviceAccountName: trigger
  triggers:
  - name: push
    interceptors:
    - ref: {name: github}
      params:
      - name: secretRef
        value: {secretName: hook, secretKey: token}
      - name: eventTypes
        value: [push]
    template: {ref: template-%d}
    bindings:
    - ref: %s
`
	bindingText = `---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerBinding
metadata: {name: binding-%d, namespace: ci}
spec:
  params:
  - name: revision
    value: $(body.after)
`
	templateText = `---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: template-%d, namespace: ci}
spec:
  params:
  - name: revision
  resourcetemplates:
  - apiVersion: tekton.dev/v1
    kind: PipelineRun
    metadata: {generateName: build-}
    spec:
      pipelineRef: {name: pipeline-%d}
      params:
      - name: revision
        value: $(tt.params.revision)
`
	pipelineText = `---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: pipeline-%d, namespace: ci}
spec:
  params:
  - name: revision
    type: string
  tasks:
  - name: build
    params:
    - name: revision
      value: $(params.revision)
    taskSpec:
      params:
      - name: revision
      steps:
      - name: build
        image: docker.io/library/golang:1.26@sha256:19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791
        env:
        - name: REVISION
          value: $(params.revision)
        script: |
          #!/bin/sh
          echo "$REVISION"
`
	taskText = `---
apiVersion: tekton.dev/v1
kind: Task
metadata:
  name: task-%d-%d
  namespace: ci
spec:
  params:
  - name: context
    default: .
  workspaces:
  - name: source
  results:
  - name: digest
  steps:
  - name: build
    image: docker.io/library/golang:1.26@sha256:19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791
    workingDir: $(workspaces.source.path)
    env:
    - name: CONTEXT
      value: $(params.context)
    script: |
      #!/bin/sh
      go build "./$CONTEXT"
      echo -n sha256:0 > $(results.digest.path)
  - name: test
    image: docker.io/library/golang:1.26@sha256:19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791
    command: [go, test, ./...]
`
)
