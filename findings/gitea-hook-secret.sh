#!/usr/bin/env bash
# Gitea's API does not change the secret of a hook, and answers that the change was made.
#
# Software:    Gitea 1.27.3 (built from its Go module).
# Likely guess: PATCH /repos/{owner}/{repo}/hooks/{id} with another config.secret replaces the secret,
#              as it replaces config.url and as GitHub's API does.
# What happens: the answer is 200, and deliveries are still signed with the old secret.
# Why it matters: a program that rotates secrets believes that it has done so, and the receiver, which
#              has the new one, refuses every event. Make a new hook and delete the old one.
#
# Needs: Go, git, curl, jq, Python 3. Builds Gitea, which takes some minutes the first time.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# The module calls itself gitea.dev. Two of its modules are not served under their new names: one has
# an older name, and the other is only for migrations from another Gitea.
build_gitea() {
  local dir
  dir=$(go mod download -json code.gitea.io/gitea@v1.27.3 | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  [ -n "$dir" ] || { echo "cannot download Gitea" >&2; exit 2; }
  cp -r "$dir" source && chmod -R u+w source
  rm source/services/migrations/gitea_downloader*
  (cd source && go mod edit -replace gitea.dev/actions-proto-go=code.gitea.io/actions-proto-go@v0.6.0 &&
    CGO_ENABLED=0 go build -mod=mod -trimpath -buildvcs=false -ldflags '-s -w' -o "$work/gitea" .)
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

build_gitea
port=$(free_port) receiver=$(free_port)
cat > app.ini <<END
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = $work/data
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = $port
ROOT_URL = http://127.0.0.1:$port/
STATIC_ROOT_PATH = $work/source
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = $work/data/gitea.db
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2
ALLOWED_HOST_LIST = loopback
[log]
LEVEL = error
END
cat > receive.py <<'END'
import hashlib, hmac, http.server, sys

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for secret in ("first", "second"):
            if hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() == self.headers["X-Gitea-Signature"]:
                print(secret, flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
END
start received python3 receive.py "$receiver"
start gitea.log gitea web --config app.ini
for _ in {1..300}; do curl -sf "http://127.0.0.1:$port/api/healthz" > /dev/null && break; sleep 0.1; done

gitea admin user create --config app.ini --username dev --password "$(head -c 20 /dev/urandom | base64)" \
  --email dev@example.com --must-change-password=false > /dev/null
token=$(gitea admin user generate-access-token --config app.ini --username dev --scopes all --raw)
printf 'header = "Authorization: token %s"\n' "$token" > curlrc
# api METHOD PATH BODY prints the answer and, in the last line, its status.
api() {
  curl -s -K curlrc -X "$1" -H 'Content-Type: application/json' -d "$3" -w '\n%{http_code}\n' \
    "http://127.0.0.1:$port/api/v1$2"
}
# push FILE makes a commit, and prints with which secret the delivery was signed.
push() {
  local seen
  seen=$(wc -l < received)
  api POST "/repos/dev/app/contents/$1" '{"content": "aGVsbG8=", "message": "a commit"}' > /dev/null
  for _ in {1..100}; do [ "$(wc -l < received)" -gt "$seen" ] && break; sleep 0.1; done
  tail -n +$((seen + 1)) received
}
api POST /user/repos '{"name": "app", "auto_init": true}' > /dev/null
hook=$(api POST /repos/dev/app/hooks "{\"type\": \"gitea\", \"active\": true, \"events\": [\"push\"], \"config\":
  {\"url\": \"http://127.0.0.1:$receiver/\", \"content_type\": \"json\", \"secret\": \"first\"}}" | head -n -1 | jq .id)
before=$(push one)
status=$(api PATCH "/repos/dev/app/hooks/$hook" '{"config": {"secret": "second"}}' | tail -n 1)
after=$(push two)
echo "signed with: $before; PATCH with another secret: $status; then signed with: $after"
[ "$before" = first ] || changed "the first delivery is signed with '$before'"
[ "$status" = 200 ] || changed "PATCH answers $status"
[ "$after" = first ] || changed "after the PATCH deliveries are signed with '$after'"
finish
