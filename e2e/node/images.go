package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	reference "github.com/tekgate/tekgate/internal/image"
)

// Mirror is where the images that Tekton and the scenarios need are, as it is
// written in Tekgate's configuration.
const Mirror = mirrorHost + "/tekton"

const pauseImage = mirrorHost + "/pause:1"

// configuration is that of the node's users. Tekton pins the digest of its shell
// image, which no image that was made here can have, so digests are dropped
// (docs/mirrors.md): all else is as with `--mirror`.
const configuration = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mirror:
  registry: ` + Mirror + `
  digest: drop
mutator:
  serviceAccount: {name: builder}
  imageMirror: {enabled: true}
`

// images fills the mirror: with what Tekgate says that an install of each pair of
// Tekton's releases takes, and with what the scenarios build and run.
func (n *Node) images(ctx context.Context) error {
	var err error
	text := configuration
	if n.Policies {
		text += "tekton: {networkPolicies: true}\n"
	}
	if n.Config, err = n.file("tekgate.yaml", text); err != nil {
		return err
	}
	shell, err := debianShell(ctx)
	if err != nil {
		return err
	}
	git, err := debianGit(ctx)
	if err != nil {
		return err
	}
	images := n.own(shell, git)
	n.Manifests = map[string]string{}
	for _, name := range n.Pairs {
		pair := n.parts.Tekton[name]
		flags, err := n.source(name)
		if err != nil {
			return err
		}
		all, err := n.listed(ctx, flags...)
		if err != nil {
			return err
		}
		for _, i := range all {
			made, err := n.made(i.Source, pair, shell, git)
			if err != nil {
				return err
			}
			if made != nil {
				images[i.Target] = *made
			}
		}
	}
	return n.push(ctx, images)
}

// own are the images that no release names.
func (n *Node) own(shell, git image) map[string]image {
	kaniko := kanikoImage(filepath.Join(n.parts.Kaniko, "executor"), n.CA)
	return map[string]image{
		pauseImage: {
			files:  map[string]string{"init": n.parts.Init},
			config: v1.Config{Entrypoint: []string{"/init"}},
		},
		// They run as root, unlike the shell image of Tekton's releases.
		Mirror + "/alpine:3.12":  shell,
		Mirror + "/busybox:1.35": shell,
		Mirror + "/git:2.47.2":   shell.with(git),
		// The article's kubectl, which applies what was built.
		Mirror + "/k8s-kubectl:latest": {
			files:  map[string]string{"usr/local/bin/kubectl": filepath.Join(n.parts.Kubernetes, "kubectl")},
			config: v1.Config{Entrypoint: []string{"kubectl"}, Env: shell.config.Env},
		},
		// The article's Kaniko, and that of today's examples.
		Mirror + "/kaniko-executor:v1.6.0": kaniko,
		Mirror + "/executor:v1.25.5":       kaniko,
	}
}

func debianShell(ctx context.Context) (image, error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return image{}, err
	}
	applets, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return image{}, fmt.Errorf("asking busybox for its names: %w", err)
	}
	return shellImage(busybox, applets), nil
}

// listed is one image of `tekgate images list -o json`.
type listed struct {
	Source string `json:"image"`
	Target string `json:"mirror"`
}

func (n *Node) listed(ctx context.Context, flags ...string) ([]listed, error) {
	args := append([]string{"images", "list", "-o", "json", "--config", n.Config}, flags...)
	out, err := exec.CommandContext(ctx, filepath.Join(n.parts.Bin, "tekgate"), args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("tekgate images list: %s", exit.Stderr)
	}
	if err != nil {
		return nil, err
	}
	var all []listed
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, fmt.Errorf("reading tekgate's list of images: %w", err)
	}
	return all, nil
}

// The images of releases that are not of Tekton's own programs. The third is for
// PipelineResources of Google's storage, which nothing here has; a release does not
// install without it.
var (
	tekgateSource = regexp.MustCompile(`^ghcr\.io/tekgate/tekgate:`)
	shellSource   = regexp.MustCompile(`^cgr\.dev/chainguard/busybox@`)
	olderSource   = regexp.MustCompile(`^ghcr\.io/distroless/busybox@`)
	storageSource = regexp.MustCompile(`^gcr\.io/google\.com/cloudsdktool/cloud-sdk@`)
	windowsSource = regexp.MustCompile(`^mcr\.microsoft\.com/powershell:`)
)

// made returns the image that stands here for one of the pair's, nil for one that no
// node of Linux pulls.
func (n *Node) made(source string, pair Pair, shell, git image) (*image, error) {
	ref, err := reference.Parse(source)
	if err != nil {
		return nil, err
	}
	if part, command, ok := ref.Tekton(); ok && pair.Programs[part] != "" {
		i := koImage(filepath.Join(pair.Programs[part], command))
		switch command {
		case "resolvers":
			i.files["sbin/tini"] = n.parts.Init
		case "git-init":
			i = i.with(shell, git) // git has a shell start ssh
		}
		return &i, nil
	}
	switch {
	case tekgateSource.MatchString(source):
		i := tekgateImage(n.parts.Bin)
		return &i, nil
	case shellSource.MatchString(source):
		i := shell
		i.config.User = "65532" // as its maker publishes it
		return &i, nil
	case olderSource.MatchString(source), storageSource.MatchString(source):
		return &shell, nil
	case windowsSource.MatchString(source):
		return nil, nil
	}
	return nil, fmt.Errorf("the release has an image that e2e/node does not know how to make: %s", source)
}
