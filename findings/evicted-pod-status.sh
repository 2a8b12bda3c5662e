#!/usr/bin/env bash
# Software: Tekton Pipelines v1.15.1, its controller's status code against its own CRD.
# Likely guess: when the kubelet evicts a Pod, the controller marks the TaskRun as failed.
# Instead: where the kubelet no longer knows the container, it reports it as terminated without times
# (reason ContainerStatusUnknown). Tekton copies that into the status, where the zero time becomes
# "startedAt": null, and the CRD of the same release allows no null there. The API server refuses every
# update of the status, so that the run stays Running. The message that the kubelet adds is left out here.
# Why it matters: a node under pressure leaves runs that do not end and that hold their Pipeline. The
# reason is in the controller's log alone.
# Needs: go.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/common.sh"

go_build judge github.com/tektoncd/pipeline/pkg/pod@v1.15.1 k8s.io/apiextensions-apiserver@v0.35.7 <<'END'
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/pod"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// schema reads what the CRD demands of a v1 TaskRun.
func schema(file string) validation.SchemaValidator {
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &crd); err != nil {
		log.Fatal(err)
	}
	for _, version := range crd.Spec.Versions {
		if version.Name != "v1" {
			continue
		}
		var internal apiextensions.CustomResourceValidation
		if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
			version.Schema, &internal, nil); err != nil {
			log.Fatal(err)
		}
		validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
		if err != nil {
			log.Fatal(err)
		}
		return validator
	}
	log.Fatal("the CRD has no version v1")
	return nil
}

func main() {
	validator := schema(os.Args[1])
	began := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	for _, state := range []struct {
		name string
		is   corev1.ContainerStateTerminated
	}{
		{"known", corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error", StartedAt: began, FinishedAt: began}},
		{"unknown", corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown"}},
	} {
		spec := &v1.TaskSpec{Steps: []v1.Step{{Name: "build", Image: "example.com/image"}}}
		run := v1.TaskRun{ObjectMeta: metav1.ObjectMeta{Name: "build", Namespace: "ci"}, Spec: v1.TaskRunSpec{TaskSpec: spec}}
		run.TypeMeta = metav1.TypeMeta{APIVersion: "tekton.dev/v1", Kind: "TaskRun"}
		run.Status.StartTime = &began
		evicted := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "build-pod"},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "step-build"}}},
			Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory.",
				ContainerStatuses: []corev1.ContainerStatus{{Name: "step-build", State: corev1.ContainerState{Terminated: &state.is}}}}}
		status, err := pod.MakeTaskRunStatus(context.Background(), zap.NewNop().Sugar(), run, evicted, nil, spec)
		if err != nil {
			log.Fatal(err)
		}
		run.Status = status
		text, err := json.Marshal(run)
		if err != nil {
			log.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(text, &object); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: Succeeded=%s, %d errors of the CRD\n", state.name,
			status.GetCondition("Succeeded").Status, len(validator.Validate(object).Errors))
		for _, problem := range validator.Validate(object).Errors {
			fmt.Printf("  %v\n", problem)
		}
	}
}
END
crd=$(cd judge.src && go list -m -f '{{.Dir}}' github.com/tektoncd/pipeline)/config/300-crds/300-taskrun.yaml
./judge "$crd" | tee seen

grep -qF 'known: Succeeded=False, 0 errors of the CRD' seen || note_changed "a container with times is refused, too"
grep -qE '^unknown: Succeeded=False, [1-9]' seen || note_changed "the status of an unknown container is accepted"
grep -qF 'startedAt' seen || note_changed "nothing is said about startedAt"
finish
