// Package replicas reads what the interceptor's replicas recorded about deliveries.
package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/interceptor/deliveries"
)

// DeliveriesPort is where each replica serves its record, on its loopback.
const DeliveriesPort = 8082

// Source returns what reads the record of all replicas and merges it. They are those at
// the given URLs or, without any, the running Pods of the interceptor in a namespace.
func Source(
	ctx context.Context, k *kubeflags.Flags, namespace string, urls []string, warn func(error),
) (deliveries.Source, error) {
	places := urls
	if len(places) == 0 {
		open, err := Forward(ctx, k, namespace, DeliveriesPort, warn)
		if err != nil {
			return nil, err
		}
		for _, f := range open {
			places = append(places, "http://"+f.Address)
		}
	}
	return merged(places, warn), nil
}

// merged asks all places at once. Those that do not answer are left out, as long as
// one does; each is warned of once.
func merged(places []string, warn func(error)) deliveries.Source {
	var mu sync.Mutex
	warned := map[string]bool{}
	return func(ctx context.Context, filter deliveries.Filter) ([]deliveries.Delivery, error) {
		lists, errs := make([][]deliveries.Delivery, len(places)), make([]error, len(places))
		var group sync.WaitGroup
		for i, place := range places {
			group.Go(func() { lists[i], errs[i] = fetchDeliveries(ctx, place, filter) })
		}
		group.Wait()
		var all []deliveries.Delivery
		var problems []error
		for i := range places {
			all = append(all, lists[i]...)
			if errs[i] != nil {
				problems = append(problems, errs[i])
			}
		}
		if len(problems) == len(places) {
			return nil, errors.Join(problems...)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, p := range problems {
			if !warned[p.Error()] {
				warned[p.Error()] = true
				warn(p)
			}
		}
		return filter.Apply(all), nil
	}
}

const fetchTimeout = 10 * time.Second

func fetchDeliveries(ctx context.Context, place string, filter deliveries.Filter) ([]deliveries.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	address := strings.TrimSuffix(place, "/") + deliveries.JSONPath + "?" + filter.Values().Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the deliveries: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading the deliveries: %w", err)
	}
	defer response.Body.Close()
	const most = 64 << 20
	text, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return nil, fmt.Errorf("reading the deliveries at %s: %w", place, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading the deliveries at %s: it answers %s: %s", place, response.Status,
			strings.TrimSpace(string(text[:min(len(text), 200)])))
	}
	var list []deliveries.Delivery
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("reading the deliveries at %s: it is not the interceptor that answers there", place)
	}
	return list, nil
}
