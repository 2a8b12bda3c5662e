#!/usr/bin/env bash
# Skopeo ignores the user name and password of a registry Secret, crane uses them.
#
# Software:    Tekton Pipelines v1.15.0 (pkg/credentials/dockercreds), Debian 12's skopeo
#              1.9.3, crane (go-containerregistry) v0.22.1.
# Likely guess: a Secret of type kubernetes.io/dockerconfigjson with username and password gives
#              the same login in every step. Tools either accept such an entry or refuse it.
# What happens: Tekton hands the entry on with an empty "auth" added. crane logs in with username
#              and password. Skopeo reads "auth" alone: it sends an empty user name and password,
#              without a warning.
# Why it matters: in one TaskRun, one step pushes to the mirror and the next one is told
#              "unauthorized", with the same Secret. Buildah and Podman share Skopeo's library.
#              Write "auth" (base64 of USER:PASSWORD) into such Secrets.
#
# Needs: Debian 12 with apt-get, Go and Python 3. Runs on loopback.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
go_install github.com/google/go-containerregistry/cmd/crane@v0.22.1
unpack_skopeo
build_creds_init dockercreds
export HOME=$work

start_login_registry login.log
host=$(address login.log)

mkdir -p secrets/registry step/.docker
cat > secrets/registry/.dockerconfigjson <<END
{"auths": {"$host": {"username": "builder", "password": "secret"}}}
END
SECRETS=$work/secrets STEP_HOME=$work/step creds-init -docker-config=registry
echo "Secret:       $(cat secrets/registry/.dockerconfigjson)"
echo "Tekton makes: $(cat step/.docker/config.json)"
# expect ACCOUNT TOOL runs the tool and checks which account asked for anything.
expect() {
  rm -f requests
  case $2 in
    crane) DOCKER_CONFIG=step/.docker crane manifest "$host/app:v1" ;;
    skopeo) DOCKER_CONFIG=$work/step/.docker skopeo inspect --tls-verify=false "docker://$host/app:v1" ;;
  esac > tool.log 2>&1 || true # the registry has no images
  account=$(tail -n 1 requests | cut -d' ' -f1)
  echo "$2 logs in as $account; it prints: $(tail -n 1 tool.log)"
  [ "$account" = "$1" ] || note_changed "was $1"
}
grep -q '"auth":""' step/.docker/config.json || note_changed "Tekton writes no empty auth"
expect builder crane
expect nobody skopeo
finish
