#!/usr/bin/env bash
# "regsync check" exits with 0 while images are missing from the mirror.
#
# Software:    regsync (regclient) v0.11.7.
# Likely guess: a command called check exits with another status than 0 if something is missing,
#              so that a scheduled job or a pipeline notices it.
# What happens: it logs that a sync is needed and exits with 0. Only its log tells the difference.
# Why it matters: a pipeline that runs "regsync check" before it installs Tekton from a mirror
#              goes on with an empty mirror, and the Pods fail later with ImagePullBackOff.
#
# Needs: Go. Runs on loopback.
set -euo pipefail

work=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
changed() { echo "CHANGED: $*" >&2; exit 1; }
# port LOG waits until a registry has logged its port, and prints it.
port() {
  for _ in {1..300}; do
    found=$(sed -nE 's/.*serving on port ([0-9]+).*/\1/p' "$1")
    if [ -n "$found" ]; then echo "$found"; return; fi
    sleep 0.1
  done
  echo "a registry did not start:" >&2; cat "$1" >&2; exit 2
}

echo "installing"
GOBIN=$work go install github.com/google/go-containerregistry/cmd/crane@v0.22.1
GOBIN=$work go install github.com/regclient/regclient/cmd/regsync@v0.11.7
cd "$work"
export HOME=$work PATH=$work:$PATH

crane registry serve --address 127.0.0.1:0 > source.log 2>&1 & pids+=($!)
crane registry serve --address 127.0.0.1:0 > mirror.log 2>&1 & pids+=($!)
source=127.0.0.1:$(port source.log)
mirror=127.0.0.1:$(port mirror.log)
echo hello > hello.txt && tar -cf layer.tar hello.txt
crane append --oci-empty-base -f layer.tar -t "$source/app:v1" > /dev/null 2>&1

cat > regsync.yml <<END
version: 1
creds:
  - {registry: "$source", tls: disabled}
  - {registry: "$mirror", tls: disabled}
sync:
  - {source: "$source/app:v1", target: "$mirror/app:v1", type: image}
END
# check runs regsync check, shows its log, and prints its exit status last.
check() {
  rc=0; regsync check -c regsync.yml > "$1.log" 2>&1 || rc=$?
  sed -e 's/^/  /' "$1.log"; echo "regsync check with $1: exit status $rc"
}
check "an empty mirror"; empty=$rc
crane digest "$mirror/app:v1" > digest.log 2>&1 && changed "regsync check has copied the image"
echo "mirror: $(tail -n 1 digest.log)"
regsync once -c regsync.yml > once.log 2>&1
check "a filled mirror"; filled=$rc

[ "$filled" = 0 ] || changed "regsync check fails though nothing is missing"
[ "$empty" = 0 ] || changed "regsync check now exits with $empty if an image is missing"
grep -q "Image sync needed" "an empty mirror.log" || changed "the missing image is not logged any more"
echo "as described"
