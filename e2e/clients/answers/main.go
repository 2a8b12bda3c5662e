// Answers prints what the libraries of registry clients send. It reads lines of JSON, each with
// the text of a Docker configuration and an image, and writes for each a line with every answer
// that each library gave. Where a library answers at random, a line has several answers.
//
// An answer is the credentials in the order in which the client tries them, with a space between
// them: "user:password", followed by "+" and a token where there is one; "anonymous"; or "error".
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"
)

// question is one line of the input.
type question struct {
	Config string `json:"config"`
	Image  string `json:"image"`
	// Repeat is how often each library is asked.
	Repeat int `json:"repeat"`
}

// library answers a question. The configuration is in DOCKER_CONFIG.
type library struct {
	name   string
	answer func(question) ([]string, error)
}

var libraries = []library{
	{"kubelet", kubelet},
	{"tekton", tektonController},
	{"ggcr", containerRegistry},
	{"containers", containers},
	{"buildkit", buildkit},
	{"oras", orasStore},
	{"regclient", regctl},
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "answers:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	home, err := os.MkdirTemp("", "answers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	if err := isolate(home); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	writer := json.NewEncoder(out)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return err
		}
		answers, err := ask(q)
		if err != nil {
			return err
		}
		if err := writer.Encode(answers); err != nil {
			return err
		}
	}
	return lines.Err()
}

// isolate makes every library read its configuration below home, be quiet, and use no network:
// regclient looks up the addresses of hosts.
func isolate(home string) error {
	for name, value := range map[string]string{
		"HOME": home, "DOCKER_CONFIG": home, "XDG_RUNTIME_DIR": home, "XDG_CONFIG_HOME": home,
		"REGISTRY_AUTH_FILE": "", "DOCKER_AUTH_CONFIG": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	config.SetDir(home)
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("there is no network here")
	}}
	logrus.SetOutput(io.Discard)
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	return os.WriteFile(registriesConf(), nil, 0o600)
}

func configFile() string { return os.Getenv("DOCKER_CONFIG") + "/config.json" }

func registriesConf() string { return os.Getenv("DOCKER_CONFIG") + "/registries.conf" }

// ask returns the different answers of each library.
func ask(q question) (map[string][]string, error) {
	if err := os.WriteFile(configFile(), []byte(q.Config), 0o600); err != nil {
		return nil, err
	}
	answers := map[string][]string{}
	for _, l := range libraries {
		var all []string
		for range max(q.Repeat, 1) {
			answer := "error"
			if sent, err := l.answer(q); err == nil {
				answer = strings.Join(sent, " ")
			}
			all = append(all, answer)
		}
		slices.Sort(all)
		answers[l.name] = slices.Compact(all)
	}
	return answers, nil
}

// sent writes one credential.
func sent(user, password string, tokens ...string) string {
	text := ""
	if user != "" || password != "" {
		text = user + ":" + password
	}
	for _, token := range tokens {
		if token != "" {
			text += "+" + token
		}
	}
	if text == "" {
		return "anonymous"
	}
	return text
}
