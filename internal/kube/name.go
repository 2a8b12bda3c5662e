package kube

import "sigs.k8s.io/controller-runtime/pkg/client"

// Name returns what an object is called in messages: its kind, namespace and name.
func Name(obj client.Object) string {
	return obj.GetObjectKind().GroupVersionKind().Kind + "/" + key(obj.GetNamespace(), obj.GetName())
}

// Identity returns a key that tells objects apart, whatever version of their kind they are in.
func Identity(obj client.Object) string {
	return obj.GetObjectKind().GroupVersionKind().Group + " " + Name(obj)
}
