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
source "$(dirname "$0")/common.sh"

echo "installing"
go_install github.com/google/go-containerregistry/cmd/crane@v0.22.1
go_install github.com/regclient/regclient/cmd/regsync@v0.11.7
export HOME=$work

start_registry source.log
start_registry mirror.log
source=$(address source.log)
mirror=$(address mirror.log)
push_image "$source/app:v1"

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
finish
