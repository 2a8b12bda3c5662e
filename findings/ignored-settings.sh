#!/usr/bin/env bash
# Tekton Pipelines ignores misspelt keys of its ConfigMaps, and levels of metrics that do not exist.
#
# Software:    Tekton Pipelines v1.15.1 (pkg/apis/config).
# Likely guess: Tekton's webhook parses each change of its ConfigMaps with the same code as the
#              controllers and refuses what it does not understand, as it does for a wrong boolean.
# What happens: only values are checked, and not all of them. An unknown key changes nothing and
#              causes no error. The same holds for a level of metrics that does not exist.
# Why it matters: `kubectl edit configmap feature-flags` succeeds, the flag keeps its default, and
#              no log says so. For set-security-context the Pods then stay as they were in a
#              namespace that demands `restricted`.
#
# Needs: Go. Runs no server.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
go_build settings github.com/tektoncd/pipeline/pkg/apis/config@v1.15.1 <<'END2'
package main

import (
	"fmt"

	"github.com/tektoncd/pipeline/pkg/apis/config"
	corev1 "k8s.io/api/core/v1"
)

func main() {
	flags, err := config.NewFeatureFlagsFromMap(map[string]string{"set-security-contxt": "true"})
	fmt.Println("misspelt key:", flags != nil && flags.SetSecurityContext, err)
	_, err = config.NewFeatureFlagsFromMap(map[string]string{"set-security-context": "yes please"})
	fmt.Println("wrong boolean:", err != nil)
	metrics, err := config.NewMetricsFromConfigMap(&corev1.ConfigMap{
		Data: map[string]string{"metrics.taskrun.level": "everything"}})
	fmt.Println("wrong level:", metrics.TaskrunLevel, err)
}
END2
settings | tee out
grep -qx 'misspelt key: false <nil>' out || note_changed "a misspelt key is no longer ignored"
grep -qx 'wrong boolean: true' out || note_changed "a wrong boolean is no longer refused"
grep -qx 'wrong level: everything <nil>' out || note_changed "a wrong level is no longer accepted"
finish
