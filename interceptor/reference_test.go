package interceptor_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/internal/golden"
)

const referenceHead = `# Verified events

Written from the code by ` + "`make generate`" + `.

Tekgate's ClusterInterceptor is called ` + "`tekgate`" + `. Put it first in a trigger, since an
interceptor before it may change what was signed. It answers "continue" only to
an event whose signature is right, and puts into ` + "`$(extensions.git)`" + ` the provider,
the event and ` + "`verified: true`" + `. Without a secret nothing passes.

Tekton answers a delivery with 202 before it asks any interceptor, and its
EventListener logs a refusal at debug level only: look for the event's id in
Tekgate's own log, ` + "`kubectl logs -n tekgate deploy/tekgate-interceptor`" + `, which has one
line for each verdict, its reason in a word, and never a payload or a secret.

## Params

| param | |
|---|---|
| provider | who sends the events: see below |
| mode | how they are signed |
| secretRef | secretName and secretKey of a Secret in the Trigger's own namespace; one newline at its end is forgiven |
| maxAge | how old a delivery may be whose signature covers a time, such as 30m; see interceptor.maxAge in the configuration |

A param that is not known is an error, for a misspelt check is a check that
nobody makes. Hooks have to send ` + "`application/json`" + `: an EventListener changes forms
before an interceptor sees them. A delivery of a forge's "test" button is
verified and then stopped, so that it starts no build.
`

// TestReference holds PROVIDERS.md to the providers.
func TestReference(t *testing.T) {
	var text bytes.Buffer
	text.WriteString(referenceHead)
	for _, p := range interceptor.Providers {
		if p.Doc == "" || len(p.Modes) == 0 {
			t.Errorf("provider %s is not documented or has no mode", p.Name)
		}
		mode := ""
		if p.ExplicitMode {
			mode = "\n  - {name: mode, value: " + p.Modes[0] + "}"
		}
		fmt.Fprintf(&text, "\n## %s\n\n%s\n\nModes: %s.\n\n```yaml\ninterceptors:\n- ref: {name: tekgate}\n  params:\n  - {name: provider, value: %s}%s\n"+
			"  - name: secretRef\n    value: {secretName: %s-webhook, secretKey: secretToken}\n```\n", p.Name, p.Doc, strings.Join(p.Modes, ", "), p.Name, mode, p.Name)
	}
	golden.Equal(t, "PROVIDERS.md", text.Bytes())
}
