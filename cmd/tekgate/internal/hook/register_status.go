package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
)

func (r *registering) statusFlags(f *pflag.FlagSet) {
	f.StringVar(&r.statusFile, "status-token-file", "",
		"store this `FILE`'s access token for reporting statuses in the Secret of the Task that reports")
	f.StringVar(&r.statusSecret, "status-secret", "", "`NAME` of that Secret (default: TRIGGER-status, as scaffold has it)")
}

// readStatusToken reads what goes into the Secret of the reports.
func (r *registering) readStatusToken(streams cli.Streams, s *site) error {
	if r.statusFile == "" {
		return nil
	}
	if err := s.repository.Forge.CheckStatus(); err != nil {
		return err
	}
	text, err := streams.ReadFile("the token for statuses", r.statusFile)
	if err != nil {
		return err
	}
	text = []byte(trimToken(text))
	if len(text) == 0 || bytes.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return errors.New("the token in --status-token-file is empty or has blanks or line ends in it: the file holds the token alone")
	}
	r.statusValues = map[string][]byte{statusToken: text}
	if len(s.ca) > 0 {
		r.statusValues[statusCA] = s.ca
	}
	return nil
}

// statusKeys returns the keys of the Secret of the reports, in their order.
func (r *registering) statusKeys(s *site) []secretKey {
	name := r.statusSecret
	if name == "" {
		name = r.trigger + "-status"
	}
	var keys []secretKey
	for _, key := range []string{statusToken, statusCA} {
		if r.statusValues[key] != nil {
			keys = append(keys, secretKey{client: s.client, namespace: r.namespace, name: name, key: key, hidden: true})
		}
	}
	return keys
}

// storeStatusToken stores the token for statuses, where one is given.
func (r *registering) storeStatusToken(ctx context.Context, s *site, result *registered, undo *undoing) error {
	keys := r.statusKeys(s)
	result.Statuses = make([]secretResult, 0, len(keys)) // whose items the steps point to
	for _, k := range keys {
		action, restore, undone, err := k.put(ctx, r.statusValues[k.key])
		if err != nil {
			return err
		}
		undo.add(fmt.Sprintf("the %s that this run wrote", k), restore)
		result.Statuses = append(result.Statuses, secretResult{k.namespace, k.name, k.key, action})
		undo.reports(restore != nil, &result.Statuses[len(result.Statuses)-1].Action, undone)
	}
	return nil
}
