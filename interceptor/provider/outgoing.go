package provider

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Outgoing is a delivery as a forge has it before it signs.
type Outgoing struct {
	Event string    // in the forge's words or in one spelling; "" is a push
	Body  []byte    // sent as it is
	Time  time.Time // when it is signed
	ID    string    // the delivery's id; "" sends none
}

// Signed is what a forge adds to a delivery.
type Signed struct {
	Header http.Header
	Query  url.Values // for senders that know no other place for a secret; mostly empty
}

func (s *Signed) set(name, value string) {
	if value != "" {
		s.Header.Set(name, value)
	}
}

// hookName is the spelling of Gitee, GitLab and GitCode: push is Push Hook.
func hookName(event string) string {
	words := strings.Split(hookless(event), "_")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:min(1, len(w))]) + w[min(1, len(w)):]
	}
	return strings.Join(append(words, "Hook"), " ")
}
