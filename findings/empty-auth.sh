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
here=$(cd "$(dirname "$0")" && pwd)

work=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT

echo "installing"
GOBIN=$work go install github.com/google/go-containerregistry/cmd/crane@v0.22.1
chmod 755 "$work" && cd "$work"
packages=(skopeo=1.9.3+ds1-1+b10 libgpgme11 libassuan0 libgpg-error0 libdevmapper1.02.1 libudev1 libselinux1
  libpcre2-8-0)
apt-get -qq download "${packages[@]}" 2>/dev/null || { apt-get -qq update && apt-get -qq download "${packages[@]}"; }
for package in *.deb; do dpkg -x "$package" debian; done
libraries=$(dirname "$(find "$work/debian/usr/lib" -name libgpgme.so.11)")
libraries=$libraries:${libraries/\/usr\/lib//lib}

# What Tekton does with a Secret before a step starts.
mkdir -p tekton secrets/registry step/.docker && cd tekton
cat > main.go <<'END'
package main

import (
	"flag"
	"log"
	"os"

	"github.com/tektoncd/pipeline/pkg/credentials/dockercreds"
	"github.com/tektoncd/pipeline/pkg/credentials/matcher"
)

func main() {
	matcher.VolumePath = os.Getenv("SECRETS")
	dockercreds.AddFlags(flag.CommandLine)
	flag.Parse()
	if err := dockercreds.NewBuilder().Write(os.Getenv("STEP_HOME")); err != nil {
		log.Fatal(err)
	}
}
END
go mod init example.test/tekton > go.log 2>&1
go get github.com/tektoncd/pipeline/pkg/credentials/{dockercreds,matcher}@v1.15.0 > go.log 2>&1
go build -o "$work/creds-init" . > go.log 2>&1 || { cat go.log; exit 2; }
cd "$work"
export HOME=$work PATH=$work:$PATH

python3 "$here/login-registry.py" & pids+=($!)
for _ in {1..300}; do [ -f port ] && break; sleep 0.1; done
host=127.0.0.1:$(cat port)

cat > secrets/registry/.dockerconfigjson <<END
{"auths": {"$host": {"username": "builder", "password": "secret"}}}
END
SECRETS=$work/secrets STEP_HOME=$work/step ./creds-init -docker-config=registry
echo "Secret:       $(cat secrets/registry/.dockerconfigjson)"
echo "Tekton makes: $(cat step/.docker/config.json)"
failed=0
# expect ACCOUNT TOOL runs the tool and checks which account asked for anything.
expect() {
  rm -f requests
  case $2 in
    crane) DOCKER_CONFIG=step/.docker crane manifest "$host/app:v1" ;;
    skopeo) LD_LIBRARY_PATH=$libraries DOCKER_CONFIG=$work/step/.docker XDG_RUNTIME_DIR=$work \
      debian/usr/bin/skopeo inspect --tls-verify=false "docker://$host/app:v1" ;;
  esac > tool.log 2>&1 || true # the registry has no images
  account=$(tail -n 1 requests | cut -d' ' -f1)
  echo "$2 logs in as $account; it prints: $(tail -n 1 tool.log)"
  [ "$account" = "$1" ] || { echo "CHANGED: was $1" >&2; failed=1; }
}
grep -q '"auth":""' step/.docker/config.json || { echo "CHANGED: Tekton writes no empty auth" >&2; failed=1; }
expect builder crane
expect nobody skopeo
if [ "$failed" != 0 ]; then exit 1; fi
echo "as described"
