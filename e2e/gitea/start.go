package gitea

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Options are where Gitea listens, and who trusts it.
type Options struct {
	// Host is the name by which it is called. Its HTTPS server has Port, on all addresses: its own
	// parts call it at localhost, where they ask for no certificate. Its SSH server has port 22 of
	// Address.
	Host, Address string
	// Certificate and Key are files in PEM form.
	Certificate, Key string
	// Dir is the folder of its data.
	Dir string
}

// Port is that of the HTTPS server.
const Port = "3000"

// settings: it runs as root in a node of its own; deliveries may go to addresses of the cluster; and a
// delivery that fails is given up soon.
const settings = `APP_NAME = forge
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = %[1]s
[server]
PROTOCOL = https
DOMAIN = %[2]s
ROOT_URL = https://%[2]s:%[7]s/
HTTP_ADDR = 0.0.0.0
HTTP_PORT = %[7]s
CERT_FILE = %[4]s
KEY_FILE = %[5]s
STATIC_ROOT_PATH = %[6]s
START_SSH_SERVER = true
SSH_LISTEN_HOST = %[3]s
SSH_PORT = 22
SSH_USER = git
BUILTIN_SSH_SERVER_USER = git
OFFLINE_MODE = true
LFS_START_SERVER = false
[database]
DB_TYPE = sqlite3
PATH = %[1]s/gitea.db
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2
ALLOWED_HOST_LIST = *
[service]
DISABLE_REGISTRATION = true
[webhook]
DELIVER_TIMEOUT = 5
[actions]
ENABLED = false
[log]
LEVEL = warn
[cron]
ENABLED = false
`

// Configure writes Gitea's configuration, and returns the arguments with which the program serves.
func (p Programs) Configure(o Options) (args []string, err error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(settings, o.Dir, o.Host, o.Address, o.Certificate, o.Key, p.Static, Port)
	file := filepath.Join(o.Dir, "app.ini")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return []string{filepath.Join(p.Folder, "gitea"), "web", "--config", file}, nil
}

// AddUser makes an account, and returns a token of its that may do everything. The server has to
// answer.
func (p Programs) AddUser(ctx context.Context, o Options, name, password string) (token string, err error) {
	config := []string{"--config", filepath.Join(o.Dir, "app.ini")}
	if _, err := p.admin(ctx, append([]string{"user", "create", "--username", name, "--password", password,
		"--email", name + "@example.com", "--must-change-password=false"}, config...)); err != nil {
		return "", err
	}
	out, err := p.admin(ctx, append([]string{"user", "generate-access-token", "--username", name, "--scopes", "all",
		"--token-name", "scenario", "--raw"}, config...))
	return strings.TrimSpace(out), err
}

func (p Programs) admin(ctx context.Context, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(p.Folder, "gitea"), append([]string{"admin"}, args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("gitea admin %s: %w: %s%s", strings.Join(args[:2], " "), err, out, problems.String())
	}
	return string(out), nil
}
