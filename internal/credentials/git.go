package credentials

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Git is what a step needs to speak to git servers: a key, or a user and a
// password.
type Git struct {
	Hosts []string

	Key        []byte // an SSH private key
	KnownHosts []byte

	Username string
	Password []byte
}

// secret returns the Secret without its annotations, and the hosts as Tekton
// wants them.
func (g Git) secret(name string) (*unstructured.Unstructured, []string, error) {
	if len(g.Hosts) == 0 {
		return nil, nil, errors.New(
			"no host is named: Tekton gives a git Secret to no step unless it says for which hosts it is",
		)
	}
	normalise, values, kind := basicHost, map[string][]byte{
		"username": []byte(g.Username),
		"password": g.Password,
	}, "kubernetes.io/basic-auth"
	if g.Key != nil {
		key, err := sshKey(g.Key)
		if err != nil {
			return nil, nil, err
		}
		normalise, values, kind = sshHost, map[string][]byte{"ssh-privatekey": key}, "kubernetes.io/ssh-auth"
		if g.KnownHosts != nil {
			values["known_hosts"] = g.KnownHosts
		}
	}
	var hosts []string
	var problems []error
	for _, written := range g.Hosts {
		host, err := normalise(written)
		hosts = append(hosts, host)
		problems = append(problems, err)
	}
	return newSecret(name, kind, values), hosts, errors.Join(problems...)
}

// Warnings name what will work otherwise than one may expect.
func (g Git) Warnings() []string {
	var warnings []string
	for _, written := range g.Hosts {
		if warning := caseWarning(written); warning != "" {
			warnings = append(warnings, warning)
		}
		if host, err := basicHost(written); err == nil && g.Key == nil {
			warnings = append(warnings, hostWarnings(host)...)
		}
	}
	if g.Key == nil || g.KnownHosts != nil {
		return warnings
	}
	return append(warnings,
		"no known_hosts is given, so each run trusts whatever key a server shows first, and with Tekton's feature flag require-git-ssh-secret-known-hosts it fails; `ssh-keyscan HOST` prints one, to be compared with what the server's owner publishes")
}

// sshKey checks that a step can use a key, and ends it with a newline, without
// which ssh calls it invalid.
func sshKey(text []byte) ([]byte, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the SSH key is not a private key in PEM: name the file without .pub")
	}
	if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, fmt.Errorf("the SSH key's file holds a %s and no private key", block.Type)
	}
	if encrypted(block) {
		return nil, errors.New(
			"the SSH key has a passphrase, which no step can type: make a key for this purpose alone with `ssh-keygen -N \"\"`",
		)
	}
	return append(bytes.TrimRight(text, "\r\n"), '\n'), nil
}

// opensshMagic begins the keys of OpenSSH's own form; the name of their cipher
// follows.
const opensshMagic = "openssh-key-v1\x00"

func encrypted(block *pem.Block) bool {
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return true
	}
	rest, found := bytes.CutPrefix(block.Bytes, []byte(opensshMagic))
	if !found || len(rest) < 4 {
		return false
	}
	length := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	return uint64(length) <= uint64(len(rest)) && string(rest[:length]) != "none"
}
