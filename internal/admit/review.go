package admit

import (
	"errors"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tekgate/tekgate/internal/scan"
)

// errUnusual says that a review is not written as API servers write it. That is no
// fault: encoding/json decides what to make of it.
var errUnusual = errors.New("not the usual form of a review")

// scanReview reads a review in one pass, without a look into its objects but for
// whether they are JSON. It knows the fields of admission.k8s.io/v1 by their exact
// names and gives up at everything else, such as a name in other letters, which
// encoding/json takes for the same field, a field of tomorrow, and a value of
// another type. So it need not agree with encoding/json on these, and what it says
// of the rest a fuzz test compares.
//
// The objects are borrowed from the body.
func scanReview(r *scan.Reader) (review admissionv1.AdmissionReview, ok bool) {
	e := envelope{r}
	err := e.r.Object(func(key []byte) error {
		switch string(key) {
		case "kind":
			return text(e, &review.Kind)
		case "apiVersion":
			return text(e, &review.APIVersion)
		case "request":
			return pointer(e, &review.Request, e.request)
		}
		return errUnusual
	})
	return review, err == nil && e.r.End() == nil
}

// envelope reads a review. Its methods do with a null and with a key that comes
// twice what encoding/json does: null leaves a field as it is, and a struct that
// comes twice is filled twice.
type envelope struct{ r *scan.Reader }

func (e envelope) request(req *admissionv1.AdmissionRequest) error {
	return e.r.Object(func(key []byte) error {
		switch string(key) {
		case "uid":
			return text(e, &req.UID)
		case "kind":
			return e.kind(&req.Kind)
		case "resource":
			return e.resource(&req.Resource)
		case "subResource":
			return text(e, &req.SubResource)
		case "requestKind":
			return pointer(e, &req.RequestKind, e.kind)
		case "requestResource":
			return pointer(e, &req.RequestResource, e.resource)
		case "requestSubResource":
			return text(e, &req.RequestSubResource)
		case "name":
			return text(e, &req.Name)
		case "namespace":
			return text(e, &req.Namespace)
		case "operation":
			return text(e, &req.Operation)
		case "userInfo":
			return e.user(&req.UserInfo)
		case "object":
			return e.raw(&req.Object)
		case "oldObject":
			return e.raw(&req.OldObject)
		case "options":
			return e.raw(&req.Options)
		case "dryRun":
			return pointer(e, &req.DryRun, e.flag)
		}
		return errUnusual
	})
}

func (e envelope) kind(kind *metav1.GroupVersionKind) error {
	return e.object(func(key []byte) error {
		switch string(key) {
		case "group":
			return text(e, &kind.Group)
		case "version":
			return text(e, &kind.Version)
		case "kind":
			return text(e, &kind.Kind)
		}
		return errUnusual
	})
}

func (e envelope) resource(resource *metav1.GroupVersionResource) error {
	return e.object(func(key []byte) error {
		switch string(key) {
		case "group":
			return text(e, &resource.Group)
		case "version":
			return text(e, &resource.Version)
		case "resource":
			return text(e, &resource.Resource)
		}
		return errUnusual
	})
}

func (e envelope) user(user *authenticationv1.UserInfo) error {
	return e.object(func(key []byte) (err error) {
		switch {
		case string(key) == "username":
			return text(e, &user.Username)
		case string(key) == "uid":
			return text(e, &user.UID)
		case string(key) == "groups" && user.Groups == nil:
			user.Groups, err = e.texts()
			return err
		case string(key) == "extra" && user.Extra == nil:
			return e.extra(user)
		}
		return errUnusual
	})
}

func (e envelope) extra(user *authenticationv1.UserInfo) error {
	if e.r.Null() {
		return nil
	}
	user.Extra = map[string]authenticationv1.ExtraValue{}
	return e.r.Object(func(key []byte) error {
		name := string(key)
		values, err := e.texts()
		user.Extra[name] = values
		return err
	})
}

func (e envelope) texts() ([]string, error) {
	if e.r.Null() {
		return nil, nil
	}
	list := []string{}
	err := e.r.Array(func() error {
		var one string
		err := text(e, &one)
		list = append(list, one)
		return err
	})
	return list, err
}

func (e envelope) object(each func(key []byte) error) error {
	if e.r.Null() {
		return nil
	}
	return e.r.Object(each)
}

func (e envelope) raw(into *runtime.RawExtension) error {
	if e.r.Null() {
		return nil
	}
	raw, err := e.r.Raw()
	into.Raw = slices.Clip(raw) // who appends to it must not write into the body
	return err
}

func (e envelope) flag(into *bool) error {
	switch e.r.Kind() {
	case 't', 'f':
		*into = e.r.Kind() == 't'
		return e.r.Skip()
	}
	return errUnusual
}

func text[T ~string](e envelope, into *T) error {
	if e.r.Null() {
		return nil
	}
	value, err := e.r.String()
	*into = T(owned(value))
	return err
}

// frequent are texts that most reviews hold.
var frequent = func(texts ...string) map[string]string {
	table := map[string]string{}
	for _, text := range texts {
		table[text] = text
	}
	return table
}("AdmissionReview", groupVersion, "tekton.dev", "v1", "v1beta1", "TaskRun", "PipelineRun", "Pod", "taskruns",
	"pipelineruns", "pods",
	"CREATE", "UPDATE", "system:authenticated", "system:serviceaccounts")

// owned returns a text that is not the body's, without new memory for a frequent one.
func owned(text []byte) string {
	if known, ok := frequent[string(text)]; ok {
		return known
	}
	return string(text)
}

// pointer reads what a field points to.
func pointer[T any](e envelope, into **T, read func(*T) error) error {
	if e.r.Null() {
		*into = nil
		return nil
	}
	if *into == nil {
		*into = new(T)
	}
	return read(*into)
}
