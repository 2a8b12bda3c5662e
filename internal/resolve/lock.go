package resolve

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/strict"
)

// LockFile is the name of the lock unless the user names another. That of images may have the same name,
// and is another kind.
const LockFile = "tekgate.lock"

const (
	lockVersion = "tekgate.dev/v1alpha1"
	lockKind    = "ReferenceLock"
)

var (
	digestPattern = lazyregexp.New(`^[0-9a-f]{64}$`)
	commit        = lazyregexp.New(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
)

// Lock records what references led to.
type Lock struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	References []Locked `json:"references"`
}

// Locked is one reference, without credentials.
type Locked struct {
	Resolver string            `json:"resolver"`
	Kind     string            `json:"kind"` // Task, Pipeline or StepAction
	Params   map[string]string `json:"params,omitempty"`
	From     string            `json:"from"`             // where it came from: the mirror's address, if there is one
	Commit   string            `json:"commit,omitempty"` // of a git repository
	Digest   string            `json:"digest,omitempty"` // of a bundle
	SHA256   string            `json:"sha256"`           // of the definition
}

// entry is what the lock has of a request.
func (q Request) entry(got fetched) Locked {
	l := Locked{Resolver: q.Resolver, Kind: q.Kind, Params: map[string]string{}, From: got.from, SHA256: sum(got.text)}
	for name, value := range q.Params {
		l.Params[name] = redacted(value)
	}
	if q.Resolver == "git" {
		l.Commit = got.revision
	} else {
		l.Digest = got.revision
	}
	return l
}

// differs reports whether a server has something else than the lock. A branch may move as long as the
// definition stays; a bundle may not, since its digest is what Tekton records.
func (l Locked) differs(now Locked) bool { return l.SHA256 != now.SHA256 || l.Digest != now.Digest }

// identity is what of an entry tells it from another.
func (l Locked) identity() string {
	switch {
	case l.Digest != "":
		return l.Digest
	case l.Commit != "":
		return fmt.Sprintf("sha256:%s of commit %s", l.SHA256, l.Commit)
	}
	return "sha256:" + l.SHA256
}

// source names the origin in messages.
func (l Locked) source() string {
	switch {
	case l.Resolver == "bundles":
		return "bundle " + l.From
	case l.Commit != "":
		return fmt.Sprintf("git %s at %.12s", l.From, l.Commit)
	}
	return l.From
}

func (l Locked) key() string { return Request{l.Resolver, l.Kind, l.Params}.Key() }

// lock is the lock while references are resolved.
type lock struct {
	mutex   sync.Mutex
	entries map[string]Locked
	used    map[string]bool
	before  []byte // the file's text
}

func (q Request) lockKey() string { return q.entry(fetched{}).key() }

func (l *lock) of(q Request) (Locked, bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	key := q.lockKey()
	l.used[key] = true
	held, ok := l.entries[key]
	return held, ok
}

func (l *lock) set(q Request, entry Locked) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.entries[q.lockKey()] = entry
}

// readLock reads a lock; one that does not exist is empty.
func readLock(name string) (*lock, error) {
	l := &lock{entries: map[string]Locked{}, used: map[string]bool{}}
	if name == "" {
		return l, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the lock: %w", err)
	}
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(text, &kind); err == nil && kind.Kind != lockKind {
		return nil, fmt.Errorf("%s is a lock of another kind (%q, not %s): name another file with --lock", name, kind.Kind,
			lockKind)
	}
	var parsed Lock
	if err := strict.UnmarshalYAML(text, &parsed); err != nil {
		return nil, fmt.Errorf("reading the lock %s: %w: correct it, or remove it and run again", name, err)
	}
	for i, entry := range parsed.References {
		if !digestPattern.MatchString(entry.SHA256) || entry.Commit != "" && !commit.MatchString(entry.Commit) {
			return nil, fmt.Errorf("reading the lock %s: references[%d] has no SHA-256 or a bad commit: correct it, or remove "+
				"the entry and run again", name, i)
		}
		l.entries[entry.key()] = entry
	}
	l.before = text
	return l, nil
}

// Save writes the lock if it changed, and returns its name if it did. References that this run did not meet stay,
// since it may have been about some of the files, unless Options.Update is set.
func (r *Resolver) Save() (written string, err error) {
	r.lock.mutex.Lock()
	defer r.lock.mutex.Unlock()
	if r.options.Lock == "" || r.options.Offline {
		return "", nil
	}
	entries := slices.Collect(maps.Values(r.lock.entries))
	if r.options.Update {
		entries = slices.DeleteFunc(entries, func(e Locked) bool { return !r.lock.used[e.key()] })
	}
	if len(entries) == 0 && r.lock.before == nil {
		return "", nil
	}
	slices.SortFunc(entries, func(a, b Locked) int { return strings.Compare(a.key(), b.key()) })
	text, err := yaml.Marshal(Lock{APIVersion: lockVersion, Kind: lockKind, References: entries})
	if err != nil {
		return "", err
	}
	text = append([]byte("# Written by `tekgate lint --resolve`: what remote references led to.\n"), text...)
	if string(text) == string(r.lock.before) {
		return "", nil
	}
	if err := replace(r.options.Lock, text, 0o644); err != nil {
		return "", err
	}
	r.lock.before = text
	return r.options.Lock, nil
}
