//go:build e2e

package scenarios_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// comparison creates runs of two manifests in a namespace, to compare what they cost.
type comparison struct {
	client    dynamic.Interface
	metrics   rest.Interface
	namespace string
}

var (
	taskRunsResource = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "taskruns"}
	podsResource     = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// compare measures runs of two manifests, which have a generateName: how long it takes from
// the creation of one to that of its Pod, in turns, and how many requests the API server gets
// until so many that are created at once all have their Pods. It fails if a run does:
//
//	compare NAMESPACE COUNT AT-ONCE FILE OTHER
func (p *place) compare(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 5 {
		ts.Fatalf("usage: compare NAMESPACE COUNT AT-ONCE FILE OTHER")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	many, err := strconv.Atoi(args[2])
	ts.Check(err)
	c, err := newComparison(p.env["KUBECONFIG"], args[0])
	ts.Check(err)
	ctx := context.Background()
	runs := [2]*unstructured.Unstructured{}
	for i, file := range args[3:] {
		runs[i] = &unstructured.Unstructured{}
		ts.Check(yaml.Unmarshal([]byte(p.expand(ts.ReadFile(file))), &runs[i].Object))
	}
	took := [2][]time.Duration{}
	for range count {
		for i, run := range runs {
			one, err := c.one(ctx, run)
			ts.Check(err)
			took[i] = append(took[i], one)
		}
	}
	first, second := median(took[0]), median(took[1])
	ts.Logf("from a run to its Pod, median of %d: %v and %v, ratio %.2f", count, first, second,
		second.Seconds()/first.Seconds())
	requests := [2]float64{}
	for i, run := range runs {
		began := time.Now()
		requests[i], err = c.atOnce(ctx, run, many)
		ts.Check(err)
		ts.Logf("%d at once of %s: all Pods after %v, %.0f requests, no run failed", many, args[3+i],
			time.Since(began).Round(time.Second), requests[i])
	}
	ts.Logf("requests: ratio %.2f", requests[1]/requests[0])
}

func newComparison(kubeconfig, namespace string) (*comparison, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	config.GroupVersion, config.NegotiatedSerializer = &schema.GroupVersion{}, scheme.Codecs.WithoutConversion()
	metrics, err := rest.UnversionedRESTClientFor(config)
	return &comparison{client, metrics, namespace}, err
}

// one creates a run, and returns how long it takes until its Pod is there.
func (c *comparison) one(ctx context.Context, run *unstructured.Unstructured) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	pods, err := c.client.Resource(podsResource).Namespace(c.namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	defer pods.Stop()
	began := time.Now()
	created, err := c.client.Resource(taskRunsResource).Namespace(c.namespace).Create(ctx, run, metav1.CreateOptions{})
	if err != nil {
		return 0, err
	}
	for event := range pods.ResultChan() {
		pod, is := event.Object.(*unstructured.Unstructured)
		if is && event.Type == watch.Added && pod.GetLabels()["tekton.dev/taskRun"] == created.GetName() {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("run %s has no Pod after a minute", created.GetName())
}

// atOnce creates so many runs at once, and returns how many requests the API server has got
// when all have their Pods.
func (c *comparison) atOnce(ctx context.Context, run *unstructured.Unstructured, many int) (float64, error) {
	if err := c.clear(ctx); err != nil {
		return 0, err
	}
	before, err := c.requests(ctx)
	if err != nil {
		return 0, err
	}
	var failed atomic.Pointer[error]
	runs := c.client.Resource(taskRunsResource).Namespace(c.namespace)
	var group sync.WaitGroup
	work := make(chan struct{})
	for range 16 {
		group.Go(func() {
			for range work {
				if _, err := runs.Create(ctx, run, metav1.CreateOptions{}); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	for range many {
		work <- struct{}{}
	}
	close(work)
	group.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	looks, err := c.wait(ctx, many)
	if err != nil {
		return 0, err
	}
	after, err := c.requests(ctx)
	return after - before - looks, err
}

// wait returns when there are so many Pods, and how often it has looked. No run may have failed.
func (c *comparison) wait(ctx context.Context, many int) (looks float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for {
		pods, err := c.client.Resource(podsResource).Namespace(c.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return 0, err
		}
		runs, err := c.client.Resource(taskRunsResource).Namespace(c.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return 0, err
		}
		looks += 2
		for _, run := range runs.Items {
			conditions, _, _ := unstructured.NestedSlice(run.Object, "status", "conditions")
			for _, condition := range conditions {
				if fields, _ := condition.(map[string]any); fields["status"] == "False" {
					return 0, fmt.Errorf("run %s failed: %v", run.GetName(), fields["message"])
				}
			}
		}
		if len(pods.Items) >= many && len(runs.Items) == many {
			return looks, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%d of %d runs have Pods after ten minutes", len(pods.Items), many)
		case <-time.After(time.Second):
		}
	}
}

// clear removes all runs and waits until their Pods are gone.
func (c *comparison) clear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := c.client.Resource(taskRunsResource).Namespace(c.namespace).DeleteCollection(ctx, metav1.DeleteOptions{},
		metav1.ListOptions{}); err != nil {
		return err
	}
	for {
		pods, err := c.client.Resource(podsResource).Namespace(c.namespace).List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return err
		}
		if len(pods.Items) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the Pods of runs that were deleted stay for ten minutes")
		case <-time.After(time.Second):
		}
	}
}

// requests returns how many requests the API server has answered, but those for Leases and
// its own health, which come at all times.
func (c *comparison) requests(ctx context.Context) (float64, error) {
	text, err := c.metrics.Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, "apiserver_request_total{") || strings.Contains(line, `resource="leases"`) ||
			strings.Contains(line, `resource=""`) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, lines.Err()
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2].Round(time.Millisecond)
}
