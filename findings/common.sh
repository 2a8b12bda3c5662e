# shellcheck shell=bash
# What the scripts share. A script that sources this file continues in a new temporary folder, where
# it installs its software. It must not set HOME before that, because Go needs the caches of the user.

findings=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
pids=()
failed=0

# cleanup stops the servers and removes the folder.
cleanup() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit
PATH=$work:$work/debian/usr/bin:$PATH

# changed TEXT reports that the software does not behave as described, and ends the script.
changed() { echo "CHANGED: $*" >&2; exit 1; }

# note_changed TEXT reports the same, but the script continues and ends with finish.
note_changed() { echo "CHANGED: $*" >&2; failed=1; }

# finish ends the script after its last check.
finish() {
  if [ "$failed" != 0 ]; then exit 1; fi
  echo "as described"
}

# go_install PACKAGE@VERSION installs a Go program into the folder.
go_install() { GOBIN=$work go install "$1"; }

# go_build NAME PACKAGE@VERSION... builds a program from the main.go on standard input, with these packages.
go_build() {
  mkdir "$1.src"
  cat > "$1.src/main.go"
  (cd "$1.src" && go mod init example.test/program && go get "${@:2}" && go build -o "$work/$1" .) > go.log 2>&1 ||
    { cat go.log; exit 2; }
}

# build_creds_init KIND builds creds-init, which does with Secrets what Tekton does before a step starts.
# KIND is dockercreds or gitcreds.
build_creds_init() {
  local credentials=github.com/tektoncd/pipeline/pkg/credentials
  go_build creds-init "$credentials/$1@v1.15.0" "$credentials/matcher@v1.15.0" <<END
package main

import (
	"flag"
	"log"
	"os"

	"$credentials/$1"
	"$credentials/matcher"
)

func main() {
	matcher.VolumePath = os.Getenv("SECRETS")
	$1.AddFlags(flag.CommandLine)
	flag.Parse()
	if err := $1.NewBuilder().Write(os.Getenv("STEP_HOME")); err != nil {
		log.Fatal(err)
	}
}
END
}

# unpack_debian PACKAGE... downloads packages of Debian and unpacks them into the subfolder debian.
unpack_debian() {
  chmod 755 "$work" # apt-get downloads as another user
  if ! apt-get -qq download "$@" 2>/dev/null; then
    apt-get -qq update
    apt-get -qq download "$@"
  fi
  local package
  for package in *.deb; do dpkg -x "$package" debian; done
}

# unpack_skopeo unpacks Debian's skopeo and its libraries.
unpack_skopeo() {
  unpack_debian skopeo=1.9.3+ds1-1+b10 libgpgme11 libassuan0 libgpg-error0 libdevmapper1.02.1 libudev1 \
    libselinux1 libpcre2-8-0
  libraries=$(dirname "$(find "$work/debian/usr/lib" -name libgpgme.so.11)")
  libraries=$libraries:${libraries/\/usr\/lib//lib}
}

# skopeo ARGUMENT... runs the unpacked skopeo.
skopeo() { LD_LIBRARY_PATH=$libraries XDG_RUNTIME_DIR=$work "$work/debian/usr/bin/skopeo" "$@"; }

# start LOG COMMAND... runs a server until the script ends.
start() {
  { "${@:2}" & } > "$1" 2>&1
  pids+=($!)
}

# address LOG waits until a registry has logged its port, and prints its address.
address() {
  local port
  for _ in {1..300}; do
    port=$(sed -nE 's/.*(serving on port |listening on 127\.0\.0\.1:)([0-9]+).*/\2/p' "$1" | head -n 1)
    if [ -n "$port" ]; then echo "127.0.0.1:$port"; return; fi
    sleep 0.1
  done
  echo "a registry did not start:" >&2; cat "$1" >&2; exit 2
}

# start_registry LOG starts an empty registry.
start_registry() { start "$1" crane registry serve --address 127.0.0.1:0; }

# start_login_registry LOG starts a registry that wants a login.
start_login_registry() { start "$1" python3 "$findings/login-registry.py"; }

# push_image REFERENCE pushes an image with one small layer.
push_image() {
  echo hello > hello.txt && tar -cf layer.tar hello.txt
  crane append --oci-empty-base -f layer.tar -t "$1" > /dev/null 2>&1
}
