// Package kaniko knows the flags and images of Kaniko's executor.
//
// The mutator gives Kaniko defaults, and the validator finds fault with what its
// steps say; both need to know a flag in all its spellings.
package kaniko

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// Flag is a flag of Kaniko's executor.
type Flag struct {
	Name string // without its dashes
	// Since is the first release that is known to have it. Each was read in
	// cmd/executor/cmd/root.go of the releases v1.6.0, 1.8.1, 1.9.1, 1.12.1,
	// 1.19.2, 1.21.0 to 1.24.0 of GoogleContainerTools/kaniko and 1.25.5 of
	// chainguard-dev/kaniko, so a flag may be older than this says. osscontainertools'
	// v1.28.3 accepts all of these, and has some of its own.
	Since string
	// Multi says that values add up. Of the others the last one counts, so that a
	// default before the author's arguments never overrides one.
	Multi bool
	// Switch says that it is on or off: a value stands behind = or nowhere.
	Switch bool
	// Also are other spellings, with their dashes: a short form, an old name.
	Also []string
	// Never says why the flag is no default.
	Never string
}

const (
	insecureReason = "it would turn off the verification of every registry: name the registries that have to do without it, with --insecure-registry or --skip-tls-verify-registry"
	resultReason   = "it changes what is built"
	forkReason     = "only osscontainertools' releases know it, and others end with an error"
)

// Flags are all that Tekgate knows.
var Flags = []Flag{
	{Name: "cache", Switch: true, Since: "v1.6.0"},
	{Name: "cache-copy-layers", Switch: true, Since: "v1.6.0"},
	{Name: "cache-dir", Since: "v1.6.0"},
	{Name: "cache-repo", Since: "v1.6.0"},
	{Name: "cache-run-layers", Switch: true, Since: "v1.9.1"},
	{Name: "cache-ttl", Since: "v1.6.0"},
	{Name: "compressed-caching", Switch: true, Since: "v1.8.1"},
	{Name: "compression", Since: "v1.12.1"},
	{Name: "compression-level", Since: "v1.12.1"},
	{Name: "custom-platform", Since: "v1.9.1", Also: []string{"--customPlatform"}},
	{Name: "force-build-metadata", Switch: true, Since: "v1.8.1"},
	{Name: "ignore-path", Since: "v1.6.0", Multi: true},
	{Name: "ignore-var-run", Switch: true, Since: "v1.8.1", Also: []string{"--whitelist-var-run"}},
	{Name: "image-download-retry", Since: "v1.19.2"},
	{Name: "image-fs-extract-retry", Since: "v1.8.1"},
	{Name: "insecure-registry", Since: "v1.6.0", Multi: true},
	{Name: "label", Since: "v1.6.0", Multi: true},
	{Name: "log-format", Since: "v1.6.0"},
	{Name: "log-timestamp", Switch: true, Since: "v1.6.0"},
	{Name: "push-ignore-immutable-tag-errors", Switch: true, Since: "v1.21.0"},
	{Name: "push-retry", Since: "v1.6.0"},
	{Name: "registry-certificate", Since: "v1.6.0", Multi: true},
	{Name: "registry-client-cert", Since: "v1.12.1", Multi: true},
	{Name: "skip-default-registry-fallback", Switch: true, Since: "v1.19.2"},
	{Name: "skip-push-permission-check", Switch: true, Since: "v1.19.2"},
	{Name: "skip-tls-verify-registry", Since: "v1.6.0", Multi: true},
	{Name: "skip-unused-stages", Switch: true, Since: "v1.6.0"},
	{Name: "snapshot-mode", Since: "v1.9.1", Also: []string{"--snapshotMode"}},
	{Name: "verbosity", Since: "v1.6.0", Also: []string{"-v"}},

	{Name: "insecure", Switch: true, Never: insecureReason},
	{Name: "insecure-pull", Switch: true, Never: insecureReason},
	{Name: "skip-tls-verify", Switch: true, Never: insecureReason},
	{Name: "skip-tls-verify-pull", Switch: true, Never: insecureReason},
	{Name: "single-snapshot", Switch: true,
		Never: "it makes one layer of everything, so that no later build finds one in the cache"},
	{Name: "use-new-run", Switch: true, Never: "it can miss files that a command has changed"},
	{Name: "reproducible", Switch: true, Never: resultReason + ": its timestamps go, and with them its layers' cache"},
	{Name: "cleanup", Switch: true,
		Never: "it deletes the file system at the end, under the feet of what Tekton does next"},
	{Name: "no-push", Switch: true, Never: "nothing would ever be pushed"},
	{Name: "no-push-cache", Switch: true, Never: "the cache would never be filled"},
	{Name: "kaniko-dir",
		Never: "most releases then look for credentials in that folder, where Tekton puts none"},
	{Name: "registry-map",
		Never: "the environment carries it, which older images ignore: write mutator.kaniko.registryMap"},
	{Name: "registry-mirror", Never: "the environment carries it: write mutator.kaniko.registryMirror"},
	{Name: "force", Switch: true, Never: "it runs Kaniko where it is not in a container"},
	{Name: "git", Never: resultReason},
	{Name: "build-arg", Never: resultReason},
	{Name: "annotation", Never: resultReason},
	{Name: "target", Never: resultReason},
	{Name: "bucket", Also: []string{"-b"}, Never: resultReason},
	{Name: "context", Also: []string{"-c"}, Never: resultReason},
	{Name: "context-sub-path", Never: resultReason},
	{Name: "dockerfile", Also: []string{"-f"}, Never: resultReason},
	{Name: "destination", Also: []string{"-d"}, Never: resultReason},
	{Name: "credential-helpers", Never: forkReason},
	{Name: "dryrun", Switch: true, Never: "nothing would ever be built"},
	{Name: "image-format", Never: forkReason},
	{Name: "materialize", Switch: true, Never: forkReason},
	{Name: "pre-cleanup", Switch: true, Never: forkReason},
	{Name: "preserve-context", Switch: true, Never: forkReason},
	{Name: "secret", Never: "only a Task knows which secrets its build needs"},
	{Name: "digest-file", Never: "only a Task knows where its results go"},
	{Name: "image-name-with-digest-file", Never: "only a Task knows where its results go"},
	{Name: "image-name-tag-with-digest-file", Never: "only a Task knows where its results go"},
	{Name: "oci-layout-path", Never: "only a Task knows where its results go"},
	{Name: "tar-path", Also: []string{"--tarPath"}, Never: "only a Task knows where its results go"},
}

// Names returns the names of all flags.
func Names() []string {
	names := make([]string, 0, len(Flags))
	for _, flag := range Flags {
		names = append(names, flag.Name)
	}
	return names
}

// Given tells whether the words name the flag, in any of its spellings: --flag,
// --flag=value, --flag value, a short form alone or with its value behind it.
func (f Flag) Given(words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		if long, is := strings.CutPrefix(word, "--"); is && spelled(long, f.Name) {
			return true
		}
		return slices.ContainsFunc(f.Also, func(spelling string) bool {
			short := len(spelling) == 2
			return spelled(word, spelling) || short && strings.HasPrefix(word, spelling) &&
				!strings.HasPrefix(word, "--")
		})
	})
}

// spelled tells whether a word is a flag, alone or with its value.
func spelled(word, flag string) bool {
	rest, is := strings.CutPrefix(word, flag)
	return is && (rest == "" || rest[0] == '=')
}

// oldest is the first release whose flags were read.
var oldest = version.MustParseGeneric("v1.6.0")

// releases are those that brought flags, by their names.
var releases = func() map[string]*version.Version {
	parsed := map[string]*version.Version{}
	for _, flag := range Flags {
		if flag.Since != "" {
			parsed[flag.Since] = version.MustParseGeneric(flag.Since)
		}
	}
	return parsed
}()

// Known tells whether a release of Kaniko knows the flag. A release that is not
// known is taken for an old one.
func (f Flag) Known(release *version.Version) bool {
	if release == nil {
		release = oldest
	}
	since := releases[f.Since]
	return since != nil && !release.LessThan(since)
}
