package admit

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/scan"
)

// answers is what answers are written into, one at a time.
type answers struct{ patch, review []byte }

// answer returns the review that answers a request, until the next one. It says what encoding/json would
// make of admission.Response after its Complete, which is what the tests compare.
//
// The error is that of encoding/json about the value of an operation.
func (a *answers) answer(uid types.UID, res admission.Response) ([]byte, error) {
	patch, patchType := res.Patch, res.PatchType
	if len(res.Patches) > 0 {
		var err error
		if patch, err = appendPatch(a.patch[:0], res.Patches); err != nil {
			return nil, err
		}
		a.patch = kept(patch)
		patchType = new(admissionv1.PatchTypeJSONPatch)
	}
	out := a.review[:0]
	out = append(out, `{"kind":"AdmissionReview","apiVersion":"`+groupVersion+`","response":{"uid":`...)
	out = scan.AppendQuoted(out, string(uid))
	out = append(out, `,"allowed":`...)
	out = strconv.AppendBool(out, res.Allowed)
	out, err := appendStatus(append(out, `,"status":`...), res.Result)
	if err != nil {
		return nil, err
	}
	if len(patch) > 0 {
		out = append(out, `,"patch":"`...)
		out = append(base64.StdEncoding.AppendEncode(out, patch), '"')
	}
	if patchType != nil {
		out = scan.AppendQuoted(append(out, `,"patchType":`...), string(*patchType))
	}
	out = appendNotes(out, res.AuditAnnotations)
	for i, warning := range res.Warnings {
		out = append(out, separator(i, `,"warnings":[`)...)
		out = scan.AppendQuoted(out, warning)
	}
	if len(res.Warnings) > 0 {
		out = append(out, ']')
	}
	out = append(out, "}}\n"...)
	a.review = kept(out)
	return out, nil
}

// separator returns what stands before the element i of a list.
func separator(i int, begin string) string {
	if i == 0 {
		return begin
	}
	return ","
}

// appendStatus appends the result, with the code 200 where there is none.
func appendStatus(out []byte, status *metav1.Status) ([]byte, error) {
	var given metav1.Status
	if status != nil {
		given = *status
	}
	if given.Code == 0 {
		given.Code = http.StatusOK
	}
	if given == (metav1.Status{Code: given.Code}) { // as of all that is allowed
		out = append(out, `{"metadata":{},"code":`...)
		return append(strconv.AppendInt(out, int64(given.Code), 10), '}'), nil
	}
	text, err := json.Marshal(given)
	return append(out, text...), err
}

func appendNotes(out []byte, notes map[string]string) []byte {
	var room [8]string
	for i, key := range scan.SortedKeys(room[:0], notes) {
		out = append(out, separator(i, `,"auditAnnotations":{`)...)
		out = scan.AppendQuoted(out, key)
		out = scan.AppendQuoted(append(out, ':'), notes[key])
	}
	if len(notes) > 0 {
		out = append(out, '}')
	}
	return out
}

func appendPatch(out []byte, operations []jsonpatch.Operation) ([]byte, error) {
	for i, o := range operations {
		out = append(out, separator(i, "[")...)
		out = scan.AppendQuoted(append(out, `{"op":`...), o.Operation)
		out = scan.AppendQuoted(append(out, `,"path":`...), o.Path)
		if o.Value != nil || o.Operation == "add" || o.Operation == "replace" {
			var err error
			if out, err = scan.AppendValue(append(out, `,"value":`...), o.Value); err != nil {
				return nil, err
			}
		}
		out = append(out, '}')
	}
	return append(out, ']'), nil
}
