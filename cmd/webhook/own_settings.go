package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// keptApart takes the place of a Namespace's own settings in the cache.
const keptApart = "(kept apart)"

// ownSettings holds the texts of the settings that Namespaces have of their own, and bounds
// the memory that these and what compiles from them take. Settings for which there is no room
// are refused, and those that are held stay. Equal texts count once.
type ownSettings struct {
	log  logr.Logger
	most int // bytes by mutator.OverlayCost

	mutex sync.Mutex
	held  map[string]held   // by namespace
	texts map[string]*count // by text
	total int
}

// held are the settings of a Namespace. A text that is refused is not kept.
type held struct {
	text   string
	reason string // why it is refused
	cost   int    // of a text that is refused because there was no room
}

type count struct {
	text             string
	namespaces, cost int
}

func newOwnSettings(log logr.Logger) *ownSettings {
	return &ownSettings{log: log, most: mutator.MaxOverlays, held: map[string]held{}, texts: map[string]*count{}}
}

// hold takes the text of a Namespace in place of the one before.
func (s *ownSettings) hold(namespace, text string) {
	if text == "" {
		s.put(namespace, held{}, 0)
		return
	}
	cost, err := mutator.OverlayCost(text)
	if err != nil {
		s.put(namespace, held{reason: err.Error()}, 0)
		return
	}
	s.put(namespace, held{text: text}, cost)
}

func (s *ownSettings) put(namespace string, now held, cost int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	before := s.held[namespace]
	s.release(namespace)
	known := s.texts[now.text]
	switch {
	case now.text == "":
	case known != nil:
		known.namespaces++
		now.text = known.text // its memory is shared
	case s.total+cost > s.most:
		now = held{cost: cost, reason: fmt.Sprintf(
			"there is no room: the settings of all Namespaces take %d of %d bytes of memory, and it would take %d more",
			s.total, s.most, cost)}
	default:
		s.texts[now.text] = &count{now.text, 1, cost}
		s.total += cost
	}
	if now == (held{}) {
		return
	}
	s.held[namespace] = now
	if now.reason != "" && now.reason != before.reason {
		s.log.Info("the settings of a Namespace are not used, and the configuration holds there",
			"namespace", namespace, "annotation", wellknown.MutatorKey, "reason", now.reason)
	}
}

// release drops what a Namespace holds. The lock is held.
func (s *ownSettings) release(namespace string) {
	text := s.held[namespace].text
	delete(s.held, namespace)
	known := s.texts[text]
	if known == nil {
		return
	}
	if known.namespaces--; known.namespaces == 0 {
		s.total -= known.cost
		delete(s.texts, text)
	}
}

// forget drops what a Namespace holds that is gone.
func (s *ownSettings) forget(gone any) {
	if name, err := toolscache.DeletionHandlingMetaNamespaceKeyFunc(gone); err == nil {
		s.hold(name, "")
	}
}

// of returns the settings of a Namespace, or why they are not used. Those that were refused
// are read once more when there is room.
func (s *ownSettings) of(ctx context.Context, live client.Reader, namespace string) (text, reason string) {
	s.mutex.Lock()
	known := s.held[namespace]
	again := known.cost > 0 && s.total+known.cost <= s.most
	s.mutex.Unlock()
	if !again {
		return known.text, known.reason
	}
	object := partialNamespace()
	if err := live.Get(ctx, client.ObjectKey{Name: namespace}, object); err != nil {
		return "", known.reason
	}
	s.hold(namespace, object.Annotations[wellknown.MutatorKey])
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.held[namespace].text, s.held[namespace].reason
}
