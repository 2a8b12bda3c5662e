#!/usr/bin/env bash
# Tekton Chains labels its Deployment with Chains' version as the release of Pipelines.
#
# Software:    Tekton Chains v0.28.1, Tekton Pipelines v1.15.1 (the manifests in their modules).
# Likely guess: the label pipeline.tekton.dev/release names the release of Tekton Pipelines, so
#              that its value on any Deployment tells which Pipelines a cluster runs.
# What happens: the controller of Chains has the same label, and its value is the version of
#              Chains: the release process of both replaces the same text "devel". A tool that
#              reads the label from all Deployments reports Pipelines v0.28.1.
# Why it matters: installers and dashboards read the version from this label, since tags may be a
#              mirror's own. Read the ConfigMap pipelines-info, or Deployments with the label
#              app.kubernetes.io/part-of: tekton-pipelines.
#
# Needs: Go. Runs no server.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# labels MODULE@VERSION FILE prints each release label of the Deployments in a manifest.
labels() {
  local dir
  dir=$(go mod download -json "github.com/tektoncd/$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  [ -n "$dir" ] || { echo "cannot download $1" >&2; exit 2; }
  awk '/^kind:/ { kind = $2 } /^ *(app.kubernetes.io\/part-of|[a-z]*.tekton.dev\/release):/ {
    if (kind == "Deployment") print $1, $2 }' "$dir/$2" | sort -u
}

chains=$(labels chains@v0.28.1 config/100-deployment.yaml)
pipelines=$(labels pipeline@v1.15.1 config/controller.yaml)
echo "Chains:"; echo "$chains"
echo "Pipelines:"; echo "$pipelines"
for text in "$chains" "$pipelines"; do
  grep -q '^pipeline.tekton.dev/release: "devel"$' <<< "$text" || note_changed "the label is not on both"
done
grep -q '^app.kubernetes.io/part-of: tekton-chains$' <<< "$chains" || note_changed "Chains is not its own part"
finish
