package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// The database of Tekton Results: PostgreSQL, outside of the cluster, as most companies have it.
const (
	DatabaseHost = "database.example.com"
	DatabaseUser = "results"
	// DatabasePassword opens nothing outside of the node.
	DatabasePassword = "only-inside-the-node"
	databaseName     = "tekton-results"
)

// postgresFolder holds Debian's programs. They are not where others are, since several versions
// may be installed.
const postgresFolder = "/usr/lib/postgresql/*/bin"

// postgres returns the path of one of Debian's programs of PostgreSQL, of the newest version.
func postgres(program string) (string, error) {
	found, err := filepath.Glob(filepath.Join(postgresFolder, program))
	if err != nil || len(found) == 0 {
		return "", errors.Join(fmt.Errorf("there is no %s in %s", program, postgresFolder), err)
	}
	return slices.Max(found), nil
}

// StartDatabase starts PostgreSQL with the database of Tekton Results, until the node ends.
func (n *Node) StartDatabase(ctx context.Context) error {
	dir := filepath.Join(n.parts.Dir, "postgres")
	password, err := n.file("postgres-password", DatabasePassword)
	if err != nil {
		return err
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("looking for the user that PostgreSQL runs as: %w", err)
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chown(dir, uid, -1)); err != nil {
		return err
	}
	initdb, err := postgres("initdb")
	if err != nil {
		return err
	}
	server, err := postgres("postgres")
	if err != nil {
		return err
	}
	as := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid)}} //nolint:gosec // a user's id
	for _, step := range []struct {
		input string
		args  []string
	}{
		{"", []string{initdb, "-D", dir, "--username", DatabaseUser, "--pwfile", password, "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--no-locale", "--no-sync"}},
		{"CREATE DATABASE \"" + databaseName + "\"", []string{server, "--single", "-D", dir, "postgres"}},
	} {
		cmd := exec.CommandContext(ctx, step.args[0], step.args[1:]...)
		cmd.Stdin, cmd.SysProcAttr, cmd.Dir = bytes.NewReader([]byte(step.input)), as, "/"
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", filepath.Base(step.args[0]), err, out)
		}
	}
	allow := fmt.Sprintf("host all all %s scram-sha-256\nhost all all %s/24 scram-sha-256\n", podRange, address)
	if err := os.WriteFile(filepath.Join(dir, "pg_hba.conf"), []byte(allow), 0o600); err != nil {
		return err
	}
	if err := os.Chown(filepath.Join(dir, "pg_hba.conf"), uid, -1); err != nil {
		return err
	}
	// setpriv is of Debian's essential packages.
	p, err := n.run("setpriv", "--reuid", owner.Uid, "--clear-groups", "--", server, "-D", dir,
		"-c", "listen_addresses="+databaseAddress, "-c", "unix_socket_directories=")
	if err != nil {
		return err
	}
	return until(ctx, 30*time.Second, p, func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(DatabaseHost, "5432"))
		if err != nil {
			return err
		}
		return connection.Close()
	})
}
