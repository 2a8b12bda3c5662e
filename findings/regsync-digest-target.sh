#!/usr/bin/env bash
# regsync drops the tag of a target that also has a digest, and reports success.
#
# Software:    regsync (regclient) v0.11.7.
# Likely guess: the target "mirror/app:v1@sha256:..." is filled as the tag v1 with that digest, or
#              refused. References with both are what Tekton's release files contain.
# What happens: the image is pushed without any tag. "regsync once" and "regsync check" exit with
#              0, and "check" finds nothing left to do. The digest in the *source* works.
# Why it matters: whoever copies the references of a release into both fields gets a mirror without
#              tags. Pulls by tag fail, tools that copy or delete by tag do not see the images, and
#              clean-ups such as "garbage-collect --delete-untagged" delete them.
#
# Needs: Go and curl. Runs on loopback.
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
digest=$(crane digest "$source/app:v1")

# run COMMAND SOURCE TARGET runs regsync for one image.
run() {
  cat > regsync.yml <<END
version: 1
creds:
  - {registry: "$source", tls: disabled}
  - {registry: "$mirror", tls: disabled}
sync:
  - {source: "$2", target: "$3", type: image}
END
  rc=0; regsync "$1" -c regsync.yml > "$1.log" 2>&1 || rc=$?
  echo "regsync $1: exit status $rc, source ${2#*/}, target ${3#*/}"
}
# state REPOSITORY prints the tags of a repository in the mirror and the status of the digest.
state() {
  tags=$(crane ls "$mirror/$1" 2>/dev/null | xargs) || true
  status=$(curl -s -o /dev/null -w '%{http_code}' "http://$mirror/v2/$1/manifests/$digest")
  echo "tags: ${tags:-none}, by digest: HTTP $status"
}

run once "$source/app:v1@$digest" "$mirror/both:v1@$digest"
[ "$rc" = 0 ] || changed "regsync once now fails"
run check "$source/app:v1@$digest" "$mirror/both:v1@$digest"
[ "$rc" = 0 ] || changed "regsync check now fails"
if grep "Image sync needed" check.log; then changed "regsync check finds something left to do"; fi
both=$(state both); echo "  $both"
run once "$source/app:v1@$digest" "$mirror/source:v1"
source_only=$(state source); echo "  $source_only"

[ "$both" = "tags: none, by digest: HTTP 200" ] || changed "a target with a digest gets a tag"
[ "$source_only" = "tags: v1, by digest: HTTP 200" ] || changed "a source with a digest makes no tag"
finish
