package mutator

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// kanikoFlag is a flag of Kaniko's executor.
type kanikoFlag struct {
	name string
	// since is the first release that is known to have it. Each was read in
	// cmd/executor/cmd/root.go of the releases v1.6.0, 1.8.1, 1.9.1, 1.12.1,
	// 1.19.2, 1.21.0 to 1.24.0 of GoogleContainerTools/kaniko and 1.25.5 of
	// chainguard-dev/kaniko, so a flag may be older than this says.
	since string
	// multi says that values add up. Of the others the last one counts, so that a
	// default before the author's arguments never overrides one.
	multi bool
	// also are other spellings: a short form, an old name.
	also []string
	// never says why the flag is no default.
	never string
}

const (
	insecureReason = "it would turn off the verification of every registry: name the registries that have to do without it, with --insecure-registry or --skip-tls-verify-registry"
	resultReason   = "it changes what is built"
)

// kanikoFlags are all that a default may name.
var kanikoFlags = []kanikoFlag{
	{name: "cache", since: "v1.6.0"},
	{name: "cache-copy-layers", since: "v1.6.0"},
	{name: "cache-dir", since: "v1.6.0"},
	{name: "cache-repo", since: "v1.6.0"},
	{name: "cache-run-layers", since: "v1.9.1"},
	{name: "cache-ttl", since: "v1.6.0"},
	{name: "compressed-caching", since: "v1.8.1"},
	{name: "compression", since: "v1.12.1"},
	{name: "compression-level", since: "v1.12.1"},
	{name: "custom-platform", since: "v1.9.1", also: []string{"--customPlatform"}},
	{name: "force-build-metadata", since: "v1.8.1"},
	{name: "ignore-path", since: "v1.6.0", multi: true},
	{name: "ignore-var-run", since: "v1.8.1", also: []string{"--whitelist-var-run"}},
	{name: "image-download-retry", since: "v1.19.2"},
	{name: "image-fs-extract-retry", since: "v1.8.1"},
	{name: "insecure-registry", since: "v1.6.0", multi: true},
	{name: "label", since: "v1.6.0", multi: true},
	{name: "log-format", since: "v1.6.0"},
	{name: "log-timestamp", since: "v1.6.0"},
	{name: "push-ignore-immutable-tag-errors", since: "v1.21.0"},
	{name: "push-retry", since: "v1.6.0"},
	{name: "registry-certificate", since: "v1.6.0", multi: true},
	{name: "registry-client-cert", since: "v1.12.1", multi: true},
	{name: "skip-default-registry-fallback", since: "v1.19.2"},
	{name: "skip-push-permission-check", since: "v1.19.2"},
	{name: "skip-tls-verify-registry", since: "v1.6.0", multi: true},
	{name: "skip-unused-stages", since: "v1.6.0"},
	{name: "snapshot-mode", since: "v1.9.1", also: []string{"--snapshotMode"}},
	{name: "verbosity", since: "v1.6.0", also: []string{"-v"}},

	{name: "insecure", never: insecureReason},
	{name: "insecure-pull", never: insecureReason},
	{name: "skip-tls-verify", never: insecureReason},
	{name: "skip-tls-verify-pull", never: insecureReason},
	{name: "single-snapshot", never: "it makes one layer of everything, so that no later build finds one in the cache"},
	{name: "use-new-run", never: "it can miss files that a command has changed"},
	{name: "reproducible", never: resultReason + ": its timestamps go, and with them its layers' cache"},
	{name: "cleanup", never: "it deletes the file system at the end, under the feet of what Tekton does next"},
	{name: "no-push", never: "nothing would ever be pushed"},
	{name: "no-push-cache", never: "the cache would never be filled"},
	{name: "kaniko-dir", never: "it moves the folder where the image's credentials are looked for"},
	{name: "registry-map", never: "the environment carries it, which older images ignore: write mutator.kaniko.registryMap"},
	{name: "registry-mirror", never: "the environment carries it: write mutator.kaniko.registryMirror"},
	{name: "force", never: "it runs Kaniko where it is not in a container"},
	{name: "git", never: resultReason},
	{name: "build-arg", never: resultReason},
	{name: "annotation", never: resultReason},
	{name: "target", never: resultReason},
	{name: "bucket", never: resultReason},
	{name: "context", never: resultReason},
	{name: "context-sub-path", never: resultReason},
	{name: "dockerfile", never: resultReason},
	{name: "destination", never: resultReason},
	{name: "digest-file", never: "only a Task knows where its results go"},
	{name: "image-name-with-digest-file", never: "only a Task knows where its results go"},
	{name: "image-name-tag-with-digest-file", never: "only a Task knows where its results go"},
	{name: "oci-layout-path", never: "only a Task knows where its results go"},
	{name: "tar-path", never: "only a Task knows where its results go"},
}

func kanikoFlagNames() []string {
	names := make([]string, 0, len(kanikoFlags))
	for _, flag := range kanikoFlags {
		names = append(names, flag.name)
	}
	return names
}

// given tells whether the words name the flag, in any of its spellings: --flag,
// --flag=value, --flag value, a short form alone or with its value behind it.
func (f kanikoFlag) given(words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		for _, spelling := range append([]string{"--" + f.name}, f.also...) {
			short := len(spelling) == 2
			if word == spelling || strings.HasPrefix(word, spelling+"=") || short && strings.HasPrefix(word, spelling) && !strings.HasPrefix(word, "--") {
				return true
			}
		}
		return false
	})
}

// known tells whether a release of Kaniko knows the flag. A release that is not
// known is taken for an old one.
func (f kanikoFlag) known(release *version.Version) bool {
	oldest := version.MustParseGeneric("v1.6.0")
	if release == nil {
		release = oldest
	}
	return !release.LessThan(version.MustParseGeneric(f.since))
}
