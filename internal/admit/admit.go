// Package admit answers admission reviews over HTTP.
//
// It stands where controller-runtime has admission.Webhook: it registers at the
// same server and calls the same admission.Handler. It is a handler of our own
// since what lies between the socket and the rules is most of the cost of an
// admission, and can then be made cheaper without touching a rule. Objects stay
// the bytes that the API server sent. Bodies are never logged, for they hold
// whatever people put into their objects.
//
// Who sends something else than a review is told in the form that it can read:
//
//   - with a uid to echo, as a review that denies, with code 400, so that the
//     sentence reaches the user of the API server;
//   - without one, as a plain HTTP error: nothing that could be answered, and no
//     API server, is waiting.
package admit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/budget"
	"github.com/tekgate/tekgate/internal/scan"
)

// maxBody is what a review may weigh: the API server takes objects of up to
// 3 MiB, and a review holds the old and the new one besides its own fields.
const maxBody = 7 << 20

// maxDuration bounds a request that does not say how long its sender waits. It
// is the API server's own default.
const maxDuration = 10 * time.Second

// Webhook serves admission reviews of admission.k8s.io/v1 to Handler.
type Webhook struct {
	// Handler must not keep the bytes of a request's objects: the next request is
	// read into the same.
	Handler admission.Handler
	// Busy answers a review that cannot be judged, because there is no memory for it or its
	// turn does not come in time. Of the request it is told what comes before the objects.
	// Where it is nil the answer is 429: then the sender's failurePolicy decides, and who
	// keeps the server busy can have any object pass.
	Busy func(ctx context.Context, req admission.Request) admission.Response

	buffers sync.Pool // of *buffers
}

// buffers are the memory for one request at a time.
type buffers struct {
	body []byte
	answers
}

// maxBuffer is how large a buffer is that is kept: a usual review fits, and a patch
// that adds a little to each of fifty steps.
const maxBuffer = 64 << 10

// kept returns a buffer, if it is small enough to be kept.
func kept(buffer []byte) []byte {
	if cap(buffer) > maxBuffer {
		return nil
	}
	return buffer
}

// ServeHTTP answers one review.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	own, ok := w.buffers.Get().(*buffers)
	if !ok {
		own = &buffers{}
	}
	defer w.buffers.Put(own)
	body, refusal := read(rw, r, own.body)
	own.body = kept(body)
	if refusal != nil {
		w.refuse(rw, r, own, body, refusal)
		return
	}
	ctx, cancel := deadline(r)
	defer cancel()
	turn := turnOf(r.Body)
	defer turn.end()
	if len(body) > manyBytes && !turn.take(ctx) {
		w.refuse(rw, r, own, body, refuseBusy(rw))
		return
	}
	review, values, err := decode(body)
	if err != nil && (review.Request == nil || review.Request.UID == "") {
		(&httpError{http.StatusBadRequest, err.Error()}).write(rw)
		return
	}
	req := admission.Request{AdmissionRequest: *review.Request}
	if err != nil {
		own.write(rw, req, admission.Errored(http.StatusBadRequest, err))
		return
	}
	if values > manyValues && !turn.take(ctx) {
		w.refuse(rw, r, own, body, refuseBusy(rw))
		return
	}
	res, failure := w.handle(ctx, req)
	if failure != nil {
		failure.write(rw)
		return
	}
	own.write(rw, req, res)
}

// refuse answers a review that was not read to its end, or not judged.
func (w *Webhook) refuse(rw http.ResponseWriter, r *http.Request, own *buffers, head []byte, refusal *httpError) {
	if w.Busy == nil || refusal.status != http.StatusTooManyRequests {
		refusal.write(rw)
		return
	}
	review, _ := scanReview(scan.New(head)) // as far as it goes
	if review.Request == nil || review.Request.UID == "" {
		refusal.write(rw)
		return
	}
	rw.Header().Del("Retry-After")
	req := admission.Request{AdmissionRequest: *review.Request}
	own.write(rw, req, w.Busy(r.Context(), req))
}

// handle turns a panic of a rule into an HTTP error, for one bad object must
// not cost everybody the server. It is no review that denies: to the API server
// the call has failed, so that the webhook's failurePolicy decides, which lets
// the object pass where that is Ignore. The stack goes to the log, not to the
// user; the value of the panic goes nowhere, since it may hold parts of the
// object.
func (w *Webhook) handle(ctx context.Context, req admission.Request) (res admission.Response, failure *httpError) {
	defer func() {
		if cause := recover(); cause != nil {
			log.FromContext(ctx).Error(errors.New("a rule panicked"), "answering 500",
				"uid", req.UID, "kind", req.Kind.Kind, "panic", fmt.Sprintf("%T", cause), "stack",
				string(debug.Stack()))
			failure = &httpError{http.StatusInternalServerError, fmt.Sprintf(
				"internal error while judging this %s: please report it with the log of tekgate-webhook and the uid %s", req.Kind.Kind, req.UID)}
		}
	}()
	return w.Handler.Handle(ctx, req), nil
}

// deadline keeps a request from outliving its sender's patience, which the API
// server puts into the query. It does not follow the server's context, which
// ends with the first signal, when requests in flight are still to be answered.
func deadline(r *http.Request) (context.Context, context.CancelFunc) {
	text, is := strings.CutPrefix(r.URL.RawQuery, "timeout=") // as API servers write it
	if !is || strings.ContainsAny(text, "&;%+") {
		text = r.URL.Query().Get("timeout")
	}
	patience, err := time.ParseDuration(text)
	if err != nil || patience <= 0 || patience > 3*maxDuration {
		patience = maxDuration
	}
	return context.WithTimeout(context.WithoutCancel(r.Context()), patience)
}

// httpError is an answer to someone who does not speak the protocol.
type httpError struct {
	status int
	text   string
}

func (e *httpError) write(rw http.ResponseWriter) { http.Error(rw, e.text, e.status) }

func read(rw http.ResponseWriter, r *http.Request, buffer []byte) ([]byte, *httpError) {
	if r.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		return nil, &httpError{http.StatusMethodNotAllowed,
			"this is an admission webhook: send an AdmissionReview with POST"}
	}
	if given := r.Header.Get("Content-Type"); !isJSON(given) {
		return nil, &httpError{http.StatusUnsupportedMediaType,
			fmt.Sprintf("the Content-Type is %q: send an AdmissionReview as application/json", given)}
	}
	body := buffer
	err := error(&http.MaxBytesError{Limit: maxBody})
	if r.ContentLength <= maxBody {
		body, err = budget.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody), r.ContentLength, buffer)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &httpError{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the body is larger than %d bytes: no AdmissionReview is", maxBody)}
	case errors.Is(err, budget.ErrBusy):
		return body, refuseBusy(rw)
	case errors.Is(err, budget.ErrSlow):
		return nil, &httpError{http.StatusRequestTimeout, err.Error()}
	case err != nil:
		return nil, &httpError{http.StatusBadRequest, "the body ended early: send it again"}
	}
	return body, nil
}

func refuseBusy(rw http.ResponseWriter) *httpError {
	rw.Header().Set("Retry-After", retryAfter)
	return &httpError{http.StatusTooManyRequests, budget.ErrBusy.Error()}
}

func isJSON(contentType string) bool {
	const want = "application/json"
	if contentType == want {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == want
}

// decode returns the review as far as it could be read, for its uid, and of how many
// values its objects are, beside an error that says what is wrong with it.
func decode(body []byte) (review admissionv1.AdmissionReview, values int, err error) {
	r := scan.New(body)
	r.LimitDepth(maxDepth)
	review, ok := scanReview(r)
	depth, values := 0, r.Skipped()
	if !ok {
		depth, values = scan.Measure(body)
	}
	if err := size(depth, values); err != nil { // also where the reader gave up for the depth
		return review, values, err
	}
	if !ok {
		review = admissionv1.AdmissionReview{}
		if err := json.Unmarshal(body, &review); err != nil {
			return review, values, fmt.Errorf("the body is not an AdmissionReview: %s: %s", describe(err), remedy)
		}
	}
	return review, values, check(review)
}

const remedy = "send an AdmissionReview of admission.k8s.io/v1"

// check says what is wrong with a review that could be read.
func check(review admissionv1.AdmissionReview) error {
	if review.Kind != "AdmissionReview" || review.APIVersion != groupVersion {
		return fmt.Errorf(
			"the body is a %q of %q, not an AdmissionReview: %s, and list v1 alone in the webhook's admissionReviewVersions",
			review.Kind, review.APIVersion, remedy)
	}
	if review.Request == nil || review.Request.UID == "" {
		return errors.New(
			"the AdmissionReview has no request.uid, so it cannot be answered: " + remedy + " with a request")
	}
	return nil
}

// describe says where the JSON is wrong and quotes nothing of it.
func describe(err error) string {
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("it is not JSON from byte %d on", syntax.Offset)
	case errors.As(err, &mistyped):
		return fmt.Sprintf("its field %q is a JSON %s", mistyped.Field, mistyped.Value)
	}
	return "it is not JSON"
}

// contentType is the value of the header, which nobody changes.
var contentType = []string{"application/json"}

// groupVersion is that of the reviews.
const groupVersion = "admission.k8s.io/v1"

// write sends the response with the uid of its request. Nobody can be told of a
// failure to write: the connection is gone.
func (a *answers) write(rw http.ResponseWriter, req admission.Request, res admission.Response) {
	body, err := a.answer(req.UID, res)
	if err != nil {
		(&httpError{http.StatusInternalServerError,
			fmt.Sprintf("internal error: the patch for this %s could not be encoded", req.Kind.Kind)}).write(rw)
		return
	}
	rw.Header()["Content-Type"] = contentType
	rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = rw.Write(body) // which is another's once this returns
}
