#!/usr/bin/env bash
# A credential for a path of a registry means something else to each tool.
#
# Software:    crane (go-containerregistry) v0.22.1, regctl (regclient) v0.11.7.
# Likely guess: the key "registry/team" in a Docker config.json counts for all repositories below
#              team and for no others, as it does for Podman and Skopeo.
# What happens: crane uses such a key for the whole registry if there is no key for the registry
#              itself. With one, it uses the path key only for the repository of exactly that
#              name. regctl ignores path keys. Neither prints a warning.
# Why it matters: teams that share a mirror often have one account each. A build step logs in with
#              another account than the one its ServiceAccount was given for that repository,
#              or with none, depending on the tool in the step. ko and Kaniko use crane's library.
#
# Needs: Go and Python 3. Runs on loopback.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
go_install github.com/google/go-containerregistry/cmd/crane@v0.22.1
go_install github.com/regclient/regclient/cmd/regctl@v0.11.7
export HOME=$work DOCKER_CONFIG=$work/docker
mkdir docker

start_login_registry login.log
host=$(address login.log)
regctl registry set --tls disabled --skip-check "$host" > regctl.log 2>&1

# auths KEY=ACCOUNT... writes the config.json.
auths() {
  local entries=() pair
  for pair; do
    entries+=("\"$host${pair%=*}\": {\"auth\": \"$(printf '%s:secret' "${pair#*=}" | base64)\"}")
  done
  (IFS=,; echo "{\"auths\": {${entries[*]}}}") > docker/config.json
}
# expect ACCOUNT TOOL REPOSITORY runs the tool and checks which account asked for the manifest.
expect() {
  rm -f requests
  case $2 in
    crane) crane manifest "$host/$3:v1" ;;
    regctl) regctl manifest get "$host/$3:v1" ;;
  esac > tool.log 2>&1 || true # the registry has no images
  account=$(awk -v path="/v2/$3/" 'index($2, path) {print $1}' requests | tail -n 1)
  account=${account:-nobody: no request was made}
  printf '  %-7s %-11s logs in as %s\n' "$2" "$3" "$account"
  [ "$account" = "$1" ] || note_changed "was $1"
}

echo "key REGISTRY/team for account team, no key for REGISTRY:"
auths /team=team
expect team   crane  team/app
expect team   crane  other/app
expect nobody regctl team/app
echo "key REGISTRY/team for account team, key REGISTRY for account host:"
auths /team=team =host
expect host   crane  team/app
expect team   crane  team
expect host   regctl team/app
expect host   regctl team
finish
