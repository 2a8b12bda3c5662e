#!/usr/bin/env bash
# crane does not find a Docker Hub login under the key that Skopeo and Podman use.
#
# Software:    crane (go-containerregistry) v0.22.1, Debian 12's skopeo 1.9.3.
# Likely guess: the key "docker.io" in a config.json is the login of Docker Hub for every tool.
#              "podman login docker.io" and "skopeo login docker.io" write it.
# What happens: crane finds the login only under "https://index.docker.io/v1/". With "docker.io",
#              "index.docker.io" or "registry-1.docker.io" it goes on without a login and without
#              a warning. Skopeo finds the login under each of these keys.
# Why it matters: a Secret made from Podman's file works in one step. In the next step pulls from
#              Docker Hub, such as those that fill a mirror, count as anonymous and are
#              rate-limited. ko and Kaniko use crane's library.
#
# Needs: Debian 12 with apt-get, and Go. Uses no network besides the installation.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
go_install github.com/google/go-containerregistry/cmd/crane@v0.22.1
unpack_skopeo
export HOME=$work DOCKER_CONFIG=$work/docker
mkdir docker

# expect CRANE SKOPEO KEY writes a config.json with the key, and checks who finds the login.
expect() {
  printf '{"auths": {"%s": {"auth": "%s"}}}' "$3" "$(printf user:secret | base64)" > docker/config.json
  crane=none; skopeo=none
  if crane auth get index.docker.io | grep -q '"user"'; then crane=login; fi
  if skopeo login --get-login docker.io 2> skopeo.log | grep -qx user; then skopeo=login; fi
  printf '  %-30s crane: %-6s skopeo: %s\n' "$3" "$crane" "$skopeo"
  [ "$crane $skopeo" = "$1 $2" ] || note_changed "was $1, $2"
}
echo "login of Docker Hub found under the key"
expect none  login docker.io
expect none  login index.docker.io
expect none  login registry-1.docker.io
expect login login https://index.docker.io/v1/
finish
