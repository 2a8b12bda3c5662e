#!/usr/bin/env bash
# Each release of Tekton Results has another selector in its Deployments and Services.
#
# Software:    Tekton Results v0.19.0 and v0.20.0 (the sources of release_base.yaml in their modules),
#              kustomize v5.8.1.
# Likely guess: a newer release_base.yaml is applied over the older one with kubectl apply, as that of
#              Pipelines and Triggers is.
# What happens: the release adds the label app.kubernetes.io/version to everything with
#              includeSelectors, so the version is in spec.selector.matchLabels of each Deployment.
#              Kubernetes does not let that field change ("field is immutable").
# Why it matters: an upgrade stops after some objects were changed. The Deployments have to be deleted
#              before the new manifest is applied; in between no run is stored.
#
# Needs: Go. Runs no server.
set -euo pipefail
source "$(dirname "$0")/common.sh"

go_install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1

# selectors VERSION prints the version in the selector of each Deployment of a release.
selectors() {
  local dir
  dir=$(go mod download -json "github.com/tektoncd/results@$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  [ -n "$dir" ] || { echo "cannot download results $1" >&2; exit 2; }
  cp -r "$dir" "results-$1" && chmod -R u+w "results-$1"
  sed -i "s/devel$/$1/g" "results-$1/release/kustomization.yaml" # as release/release.sh does
  kustomize build "results-$1/release" | awk '
    /^---/ { deployment = 0; selector = 0 }
    /^kind: / { deployment = ($2 == "Deployment") }
    /^  [a-z]/ { selector = ($1 == "selector:") }
    deployment && selector && $1 == "app.kubernetes.io/version:" { print $2 }'
}

for version in v0.19.0 v0.20.0; do
  found=$(selectors "$version")
  echo "selectors of $version:" $found
  [ "$(sort -u <<< "$found")" = "$version" ] || note_changed "the selectors of $version are others"
  [ "$(wc -l <<< "$found")" = 3 ] || note_changed "$version has another number of Deployments"
done
finish
