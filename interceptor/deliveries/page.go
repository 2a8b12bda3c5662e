package deliveries

import (
	"context"
	"embed"
	"encoding/json"
	"html"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tekgate/tekgate/internal/template"
)

// Source returns deliveries that a filter asks for, the newest first. Its error is
// one sentence.
type Source func(context.Context, Filter) ([]Delivery, error)

// Source makes l a Source.
func (l *Log) Source(_ context.Context, f Filter) ([]Delivery, error) {
	return l.List(f), nil
}

// JSONPath is where deliveries are served as a JSON list.
const JSONPath = "/deliveries"

//go:embed page.html page.css
var files embed.FS

// page is parsed when it is first served: most processes never serve it.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.Read(files, pageFuncs, html.EscapeString, "page.html"))
})

var pageFuncs = template.Funcs{
	"clock": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") },
	"seconds": func(ms *int64) string {
		if ms == nil {
			return ""
		}
		return (time.Duration(*ms) * time.Millisecond).String()
	},
	"short": func(sha string) string { return sha[:min(len(sha), 10)] },
}

// Handler serves what source has: a page at / and JSON at JSONPath. Both take a
// Filter as query: namespace, trigger, reason, eventID, refused and limit.
func Handler(source Source) http.Handler {
	css, err := files.ReadFile("page.css")
	if err != nil {
		panic(err) // it is embedded
	}
	return guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			servePage(w, r, source)
		case JSONPath:
			serveJSON(w, r, source)
		case "/page.css":
			w.Header().Set("Content-Type", "text/css; charset=utf-8")
			w.Write(css)
		default:
			http.NotFound(w, r)
		}
	}))
}

// guarded answers only to reads from this machine; see the package's comment.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		switch {
		case !isLoopback(r.Host):
			http.Error(w, "this is served to the machine itself: use kubectl port-forward and open http://localhost",
				http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "there is nothing to write here", http.StatusMethodNotAllowed)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Values returns f as a query.
func (f Filter) Values() url.Values {
	v := url.Values{}
	set := func(key, value string) {
		if value != "" {
			v.Set(key, value)
		}
	}
	set("namespace", f.Namespace)
	set("trigger", f.Trigger)
	set("reason", f.Reason)
	set("eventID", f.EventID)
	if f.Refused {
		v.Set("refused", "true")
	}
	if f.Limit > 0 {
		v.Set("limit", strconv.Itoa(f.Limit))
	}
	return v
}

func filterOf(v url.Values) Filter {
	limit, err := strconv.Atoi(v.Get("limit"))
	if err != nil || limit < 0 {
		limit = 0
	}
	return Filter{
		Namespace: v.Get("namespace"), Trigger: v.Get("trigger"), Reason: v.Get("reason"), EventID: v.Get("eventID"),
		Refused: v.Get("refused") != "", Limit: limit,
	}
}

func serveJSON(w http.ResponseWriter, r *http.Request, source Source) {
	list, err := source(r.Context(), filterOf(r.URL.Query()))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	text, err := json.Marshal(list)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

// longestPage keeps a page readable.
const longestPage = 500

func servePage(w http.ResponseWriter, r *http.Request, source Source) {
	filter := filterOf(r.URL.Query())
	if filter.Limit == 0 {
		filter.Limit = longestPage
	}
	list, err := source(r.Context(), filter)
	data := struct {
		Filter     Filter
		Deliveries []Delivery
		Problem    string
	}{Filter: filter, Deliveries: list}
	if err != nil {
		data.Problem = err.Error()
	}
	var text strings.Builder
	if err := page().Execute(&text, "page.html", data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write([]byte(text.String()))
}
