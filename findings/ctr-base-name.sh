#!/usr/bin/env bash
# "ctr images import --base-name" leaves images out without an error.
#
# Software:    containerd and ctr 1.6.20 of Debian 12; containerd v2.4.2 behaves the same.
# Likely guess: --base-name names the images of an OCI archive that have no full name. Images that
#              have one are imported under it, as they are without the option.
# What happens: with --base-name, only images whose name is a tag are imported. Those named by a
#              whole reference, such as ghcr.io/a/b:v1, are left out. ctr exits with 0.
# Why it matters: archives carry Tekton's images into networks without internet, and tools such as
#              Skopeo write whole references into them. The node then lacks images although the
#              import succeeded, and its Pods fail with ErrImageNeverPull or ImagePullBackOff.
#
# Needs: Debian 12 with apt-get, Go, jq and the right to make user namespaces. Uses no network
# besides the installation.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
go_install github.com/google/go-containerregistry/cmd/crane@v0.22.1
unpack_debian 'containerd=1.6.20~ds1-1*'
export HOME=$work
containerd --version

# An archive with one image under a whole reference and under a tag.
start_registry registry.log
image=$(address registry.log)/app:v1
push_image "$image"
crane pull --format oci "$image" layout
jq '.manifests[0] as $image | .manifests = ["ghcr.io/a/b:v1", "v2" | . as $name |
  $image + {annotations: {"org.opencontainers.image.ref.name": $name}}]' layout/index.json > index.json
mv index.json layout/index.json
tar -C layout -cf archive.tar .

cat > containerd.toml <<END
version = 2
root = "$work/root"
state = "$work/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "$work/containerd.sock"
END
start containerd.log unshare --map-root-user --mount containerd --config containerd.toml
for _ in {1..300}; do grep -q 'successfully booted' containerd.log && break; sleep 0.1; done
grep -q 'successfully booted' containerd.log || { cat containerd.log; exit 2; }

# import NAMESPACE [OPTION...] imports the archive and lists the images.
import() {
  local in=(ctr --address "$work/containerd.sock" --namespace "$1")
  rc=0; "${in[@]}" images import --no-unpack "${@:2}" archive.tar > import.log 2>&1 || rc=$?
  images=$("${in[@]}" images ls -q | xargs)
  echo "import ${*:2}: exit status $rc, images: $images, messages: $(cat import.log)"
}
echo "archive: $(jq -r '.manifests[].annotations[]' layout/index.json | xargs)"
import plain
[[ $rc == 0 && $images == "ghcr.io/a/b:v1 import-"*":v2" ]] || changed "the import without --base-name differs"
import based --base-name mirror.test/app
[ "$rc" = 0 ] || changed "the import with --base-name now fails"
[ "$images" = "mirror.test/app:v2" ] || changed "the import with --base-name has other images"
finish
