package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/declared"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/suggest"
)

// allDeployments sets what is declared of each Deployment.
func (a *application) allDeployments() error {
	found := []error{a.unknownDeployments()}
	for _, d := range a.deployments {
		named := a.settings.Deployments[d.GetName()]
		general := a.settings.Deployments[component(d)].Over(a.settings.Workload)
		found = append(found, a.setWorkload(d, named.Over(general)))
	}
	return errors.Join(found...)
}

// component returns the component that an object belongs to, such as pipelines.
func component(obj *unstructured.Unstructured) string {
	return strings.TrimPrefix(obj.GetLabels()["app.kubernetes.io/part-of"], "tekton-")
}

// unknownDeployments reports the keys of deployments that are neither the name of a
// Deployment nor that of a component.
func (a *application) unknownDeployments() error {
	known := map[string]bool{}
	for _, d := range a.deployments {
		known[d.GetName()] = true
		if part := component(d); part != "" {
			known[part] = true
		}
	}
	names := slices.Sorted(maps.Keys(known))
	var found []error
	for _, name := range slices.Sorted(maps.Keys(a.settings.Deployments)) {
		if !known[name] {
			found = append(found, fmt.Errorf("tekton.deployments.%s: the release has no such Deployment or component: %s",
				name, suggest.DidYouMean(name, names, "it has "+strings.Join(names, ", "))))
		}
	}
	return errors.Join(found...)
}

// setWorkload sets what is declared of one Deployment.
func (a *application) setWorkload(d *unstructured.Unstructured, w declared.Workload) error {
	err := errors.Join(
		a.setReplicas(d, w.Replicas),
		setNodeSelector(d, w.NodeSelector),
		addTolerations(d, w.Tolerations),
		setAffinity(d, w.Affinity),
		setResources(d, w.Resources),
	)
	if w.PriorityClassName != "" {
		err = errors.Join(err, setPod(d, w.PriorityClassName, "priorityClassName"))
	}
	if err != nil {
		return fmt.Errorf("tekton: %s: %w", kube.Name(d), err)
	}
	return nil
}

// setPod sets a field of the Pods of a Deployment.
func setPod(d *unstructured.Unstructured, value any, path ...string) error {
	return unstructured.SetNestedField(d.Object, value, podPath(path...)...)
}

func podPath(path ...string) []string {
	return append([]string{"spec", "template", "spec"}, path...)
}

// setReplicas sets the replicas of a Deployment. Where a HorizontalPodAutoscaler of the
// release sizes it, this is the autoscaler's least number.
func (a *application) setReplicas(d *unstructured.Unstructured, replicas *int32) error {
	if replicas == nil {
		return nil
	}
	n := int64(*replicas)
	if autoscaler := a.autoscaler(d); autoscaler != nil {
		return a.setLeast(autoscaler, d, n)
	}
	a.applied.Replicas[kube.Identity(d)] = true
	return unstructured.SetNestedField(d.Object, n, "spec", "replicas")
}

// autoscaler returns the autoscaler of the release that sizes a Deployment, or nil.
func (a *application) autoscaler(d *unstructured.Unstructured) *unstructured.Unstructured {
	for _, obj := range a.autoscalers {
		if obj.GetNamespace() == d.GetNamespace() &&
			live.Text(obj.Object, "spec", "scaleTargetRef", "kind") == "Deployment" &&
			live.Text(obj.Object, "spec", "scaleTargetRef", "name") == d.GetName() {
			return obj
		}
	}
	return nil
}

// setLeast sets the least number of replicas of an autoscaler, and raises the greatest if
// it is less.
func (a *application) setLeast(autoscaler, d *unstructured.Unstructured, n int64) error {
	if err := unstructured.SetNestedField(autoscaler.Object, n, "spec", "minReplicas"); err != nil {
		return err
	}
	greatest, _, _ := unstructured.NestedInt64(autoscaler.Object, "spec", "maxReplicas")
	if greatest >= n {
		a.note("%s sizes %s: its minReplicas is set to the declared %d", kube.Name(autoscaler), kube.Name(d), n)
		return nil
	}
	a.note("%s sizes %s: its minReplicas and maxReplicas are set to the declared %d", kube.Name(autoscaler),
		kube.Name(d), n)
	return unstructured.SetNestedField(autoscaler.Object, n, "spec", "maxReplicas")
}

func setNodeSelector(d *unstructured.Unstructured, selector map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		if err := setPod(d, selector[key], "nodeSelector", key); err != nil {
			return err
		}
	}
	return nil
}

func addTolerations(d *unstructured.Unstructured, tolerations []corev1.Toleration) error {
	if len(tolerations) == 0 {
		return nil
	}
	all, _, err := unstructured.NestedSlice(d.Object, podPath("tolerations")...)
	if err != nil {
		return err
	}
	for i := range tolerations {
		entry, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&tolerations[i])
		if err != nil {
			return err
		}
		all = append(all, entry)
	}
	return setPod(d, all, "tolerations")
}

func setAffinity(d *unstructured.Unstructured, affinity *corev1.Affinity) error {
	if affinity == nil {
		return nil
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(affinity)
	if err != nil {
		return err
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if err := setPod(d, fields[field], "affinity", field); err != nil {
			return err
		}
	}
	return nil
}

// setResources sets requests and limits of every container.
func setResources(d *unstructured.Unstructured, resources *corev1.ResourceRequirements) error {
	if resources == nil {
		return nil
	}
	containers, _, err := unstructured.NestedSlice(d.Object, podPath("containers")...)
	if err != nil {
		return err
	}
	for _, c := range containers {
		container, _ := c.(map[string]any)
		for field, list := range map[string]corev1.ResourceList{
			"requests": resources.Requests, "limits": resources.Limits,
		} {
			for name, quantity := range list {
				err = errors.Join(err,
					unstructured.SetNestedField(container, quantity.String(), "resources", field, string(name)))
			}
		}
		if err = errors.Join(err, checkResources(container)); err != nil {
			return err
		}
	}
	return setPod(d, containers, "containers")
}

// checkResources refuses a request above its limit, of which the release may have set one.
func checkResources(container map[string]any) error {
	requests, _, _ := unstructured.NestedStringMap(container, "resources", "requests")
	limits, _, _ := unstructured.NestedStringMap(container, "resources", "limits")
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		request, err1 := resource.ParseQuantity(requests[name])
		limit, err2 := resource.ParseQuantity(limits[name])
		if err1 == nil && err2 == nil && request.Cmp(limit) > 0 {
			return fmt.Errorf("container %s would request more %s (%s) than its limit (%s): declare resources.limits.%[2]s too, or request less",
				live.Text(container, "name"), name, requests[name], limits[name])
		}
	}
	return nil
}
