#!/usr/bin/env bash
# Debian's registry deletes the images of a tagged index, and crane does not put them back.
#
# Software:    docker-registry 2.8.2 of Debian 12, crane v0.22.1.
# Likely guess: "garbage-collect --delete-untagged" keeps everything that a tag needs. If a
#              mirror is damaged, copying the image from its source again repairs it.
# What happens: the tagged index stays, but the image of each platform is deleted. crane copy
#              then finds the index, reports "existing manifest", exits with 0 and copies nothing.
# Why it matters: a mirror of Tekton consists of such indexes. After a clean-up the tags still
#              answer, but no node can pull. The usual copy job succeeds and repairs nothing.
#
# Needs: Debian 12 with apt-get, Go, curl and jq. Runs on loopback.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
go_install github.com/google/go-containerregistry/cmd/crane@v0.22.1
unpack_debian docker-registry=2.8.2+ds1-1
export HOME=$work

start_registry source.log
source=$(address source.log)/app
cat > mirror.yml <<END
version: 0.1
storage: {filesystem: {rootdirectory: $work/storage}, delete: {enabled: true}}
http: {addr: 127.0.0.1:0, secret: none}
END
start mirror.log docker-registry serve mirror.yml
mirror=$(address mirror.log)/app

# An index with one image for each of two platforms.
for arch in amd64 arm64; do
  push_image "$source:$arch"
  crane mutate --set-platform "linux/$arch" -t "$source:$arch" "$source:$arch"
done > /dev/null 2>&1
crane index append -m "$source:amd64" -m "$source:arm64" -t "$source:v1" > /dev/null 2>&1
crane copy "$source:v1" "$mirror:v1" > copy.log 2>&1
mapfile -t children < <(crane manifest "$source:v1" | jq -r '.manifests[].digest')

# status REFERENCE prints the HTTP status of a manifest in the mirror.
status() {
  curl -s -o /dev/null -w '%{http_code}' -H 'Accept: application/vnd.oci.image.index.v1+json' \
    -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
    -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
    "http://${mirror%/app}/v2/app/manifests/$1"
}
show() { echo "$1: index v1 $(status v1), amd64 $(status "${children[0]}"), arm64 $(status "${children[1]}")"; }

before=$(show "status in the mirror"); echo "$before, after the first copy"
docker-registry garbage-collect --delete-untagged mirror.yml > collect.log 2>&1
after=$(show "status in the mirror"); echo "$after, after garbage-collect --delete-untagged"
rc=0; crane copy "$source:v1" "$mirror:v1" > copy.log 2>&1 || rc=$?
sed 's/^/crane copy: /' copy.log; echo "crane copy: exit status $rc"
again=$(show "status in the mirror"); echo "$again, after the second copy"

[[ $before == *"v1 200, amd64 200, arm64 200" ]] || changed "the first copy is not complete"
[[ $after == *"v1 200, amd64 404, arm64 404" ]] || changed "garbage-collect kept the images of the index"
[ "$rc" = 0 ] || changed "crane copy now reports the damage"
[ "$again" = "$after" ] || changed "crane copy now puts the images back"
finish
