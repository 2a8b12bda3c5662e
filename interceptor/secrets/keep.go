package secrets

import (
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tekgate/tekgate/interceptor"
)

// entry returns the entry of a Secret, and makes room for a new one.
func (c *Cache) entry(key types.NamespacedName) *entry {
	e := c.entries[key]
	if e == nil {
		if len(c.entries) >= maxEntries {
			c.evict(nil)
		}
		e = &entry{key: key}
		c.entries[key] = e
	}
	e.used = c.options.Now()
	return e
}

// evict forgets the entry that was not used for the longest time, those without a
// value first: their names may have been made up.
func (c *Cache) evict(keep *entry) {
	var worst *entry
	for _, e := range c.entries {
		if e == keep || e.flight != nil {
			continue
		}
		if worst == nil || worse(e, worst) {
			worst = e
		}
	}
	if worst != nil {
		c.bytes -= worst.size
		delete(c.entries, worst.key)
	}
}

func worse(a, b *entry) bool {
	if (a.known == nil) != (b.known == nil) {
		return a.known == nil
	}
	return a.used.Before(b.used)
}

// keep remembers the outcome of a read that began at started.
func (c *Cache) keep(e *entry, started time.Time, secret *corev1.Secret, err error) {
	e.started, e.ended, e.err = started, c.options.Now(), err
	c.noteAway(err)
	switch {
	case err == nil:
		c.bytes -= e.size
		e.known = &interceptor.Secret{
			Data: secret.Data, Labels: secret.Labels,
			SecretState: interceptor.SecretState{ResourceVersion: secret.ResourceVersion, Since: changed(secret)},
		}
		e.readAt, e.size = started, sizeOf(secret)
		c.bytes += e.size
	case apierrors.IsNotFound(err) || !c.usable(e):
		c.bytes -= e.size
		e.known, e.size = nil, 0
	}
	for before := -1; c.bytes > maxBytes && len(c.entries) != before; {
		before = len(c.entries)
		c.evict(e)
	}
}

// noteAway logs once that the API server is away, and once that it is back.
func (c *Cache) noteAway(err error) {
	if apierrors.IsForbidden(err) {
		return // for this Secret alone, perhaps
	}
	away := err != nil && !apierrors.IsNotFound(err)
	if away == c.away {
		return
	}
	c.away = away
	if away {
		c.options.Log.Error(err, "Secrets cannot be read; those that are known serve on", "for",
			c.options.MaxStale.String())
		return
	}
	c.options.Log.Info("Secrets can be read again")
}

// changed is when a Secret's data was last written, as far as its field managers
// tell: one that sets a label leaves the data as old as it is.
func changed(secret *corev1.Secret) time.Time {
	var last time.Time
	for _, m := range secret.ManagedFields {
		if m.Time != nil && m.Time.After(last) && ownsData(m.FieldsV1) {
			last = m.Time.Time
		}
	}
	if last.IsZero() {
		return secret.CreationTimestamp.Time
	}
	return last
}

func ownsData(fields *metav1.FieldsV1) bool {
	var top map[string]json.RawMessage
	if fields == nil || json.Unmarshal(fields.GetRawBytes(), &top) != nil {
		return false
	}
	// Who applies stringData owns that, though it is stored as data.
	return top["f:data"] != nil || top["f:stringData"] != nil
}

func sizeOf(secret *corev1.Secret) int {
	size := 0
	for key, value := range secret.Data {
		size += len(key) + len(value)
	}
	return size
}
