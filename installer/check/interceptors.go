package check

import (
	"context"
	"errors"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

var interceptorChecks = []Check{
	{
		ID: "cluster-interceptors", Category: "interceptors",
		Title: "every ClusterInterceptor with TLS has a caBundle",
		Fatal: true, Retry: true, Needs: "triggers-definitions",
		Doc: "A single ClusterInterceptor with the label server/type=https and an empty caBundle stops every EventListener of the cluster, whether it uses that interceptor or not; and without any ClusterInterceptor with TLS none of them starts (tektoncd/triggers#1846, #2034).\n\n" +
			"Triggers' core interceptors and Tekgate's interceptor write their caBundles when they start. For one that belongs to neither, bring its server up, or delete it or its label.",
		run: clusterInterceptors,
	},
}

func clusterInterceptors(ctx context.Context, s *state) error {
	all, err := s.List(ctx, live.ClusterInterceptor)
	if err != nil {
		return err
	}
	var found problems
	secured := 0
	for _, ci := range all {
		if ci.GetLabels()["server/type"] != "https" {
			continue
		}
		secured++
		if live.Text(ci.Object, "spec", "clientConfig", "caBundle") == "" {
			found.add(
				"%s has the label server/type=https and no caBundle: no EventListener runs until it has one",
				kube.Name(ci),
			)
		}
	}
	if secured == 0 {
		return errors.New(
			"there is no ClusterInterceptor with the label server/type=https: without Triggers' core interceptors no EventListener starts; run `tekgate install`",
		)
	}
	return found.err()
}
