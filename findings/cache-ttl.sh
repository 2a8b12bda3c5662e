#!/usr/bin/env bash
# A pull-through cache deletes its images after the ttl even if the upstream is down.
#
# Software:    distribution v3.1.2 as a pull-through cache (proxy.remoteurl).
# Likely guess: proxy.ttl says after what time the cache asks the upstream again. While the upstream
#              is down, the cache still serves what it has.
# What happens: within the ttl the images are served although the upstream is down. Then they are
#              deleted, also those pulled by digest, which cannot be outdated. Pulls get HTTP 500.
# Why it matters: the default ttl is one week, counted from when the cache fetched an image. If the
#              upstream is down after that, a cluster that pulls Tekton through the cache cannot
#              start its Pods on new nodes. A mirror for outages needs images that were copied.
#
# Needs: Go and curl. Runs on loopback. The first build of distribution takes some minutes.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
export CGO_ENABLED=0 GOFLAGS=-trimpath
go_install github.com/google/go-containerregistry/cmd/crane@v0.22.1
go_install github.com/distribution/distribution/v3/cmd/registry@v3.1.2
export HOME=$work OTEL_TRACES_EXPORTER=none

start_registry upstream.log; upstream_pid=${pids[-1]}
upstream=$(address upstream.log)
push_image "$upstream/app:v1"
digest=$(crane digest "$upstream/app:v1")
ttl=20
cat > cache.yml <<END
version: 0.1
storage: {filesystem: {rootdirectory: $work/storage}, delete: {enabled: true}}
http: {addr: 127.0.0.1:0, secret: none}
proxy: {remoteurl: http://$upstream, ttl: ${ttl}s}
END
start cache.log registry serve cache.yml
cache=$(address cache.log)

# status REFERENCE prints the HTTP status of a manifest in the cache.
status() {
  curl -s -o /dev/null -w '%{http_code}' -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
    -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "http://$cache/v2/app/manifests/$1"
}
show() { echo "by tag $(status v1), by digest $(status "$digest")"; }

crane pull "$cache/app:v1" pulled.tar
echo "upstream up:                      $(show)"
kill "$upstream_pid"; wait "$upstream_pid" 2>/dev/null || true
within=$(show); echo "upstream down, within the ttl:    $within"
for _ in {1..60}; do
  sleep 1
  after=$(show)
  [[ $after == *200* ]] || break
done
echo "upstream down, ttl of ${ttl}s is over: $after"

[ "$within" = "by tag 200, by digest 200" ] || changed "the cache does not serve what it has"
[ "$after" = "by tag 500, by digest 500" ] || changed "the answers after the ttl are different"
rc=0; crane pull "$cache/app:v1" again.tar 2> pull.log || rc=$?
echo "crane pull: exit status $rc, $(tail -n 1 pull.log)"
[ "$rc" != 0 ] || changed "the image can still be pulled"
finish
