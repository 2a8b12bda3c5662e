package interceptor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Config is the section "interceptor" of the configuration file.
type Config struct {
	// MaxAge is how old a delivery may be whose provider signs the time. A Trigger
	// may set its own in the param maxAge.
	MaxAge metav1.Duration `json:"maxAge"`
	// MaxSkew is how far ahead of this server's clock such a delivery may be.
	MaxSkew metav1.Duration `json:"maxSkew"`
	// MinSecretLength is the number of bytes below which a signing key is refused:
	// a Secret's value, the bytes that a whsec_ value stands for, or the password of
	// basic authentication. An empty value never passes: anybody can sign with it.
	MinSecretLength int `json:"minSecretLength"`
	// Callers is CallersVerify, which has a request refused unless the cluster has the
	// trigger that it names, with its params, or CallersTrust, which believes it.
	Callers string `json:"callers"`
	// SecretLabel is a label that a Secret must carry to be used, as key or
	// key=value; "" demands none. With one, nobody can have the interceptor compare
	// guesses with Secrets that were not made for webhooks.
	SecretLabel string `json:"secretLabel"`
	// MaxBodyBytes is the size above which a request of an EventListener is
	// refused. The hook's body is quoted in it and so grows, mostly by a sixth. All
	// large requests that are held at once share this many bytes, too, and small ones
	// a quarter more; the process needs about four times as much memory.
	MaxBodyBytes int64 `json:"maxBodyBytes"`

	Serving `json:",inline"`
}

// Default returns the configuration of a file that says nothing.
//
// Five minutes are what senders after Standard Webhooks are documented with. Gitee
// documents an hour, but whoever has seen one of its deliveries can send other bodies for
// so long. Five minutes ahead are more than clocks drift apart on machines without NTP in a
// month. Six bytes is short, since whoever
// sees one Gitee delivery can guess at such a secret in peace: but it is the
// length of the "123456" that tutorials use, and a longer default would break
// what people run today; platforms raise it. GitHub delivers up to 25 MB, which
// 32 MiB holds with its quoting.
func Default() Config {
	return Config{
		MaxAge:          metav1.Duration{Duration: 5 * time.Minute},
		MaxSkew:         metav1.Duration{Duration: 5 * time.Minute},
		MinSecretLength: 6,
		Callers:         CallersVerify,
		MaxBodyBytes:    32 << 20,
		Serving:         defaultServing(),
	}
}

// Validate returns one error that joins a sentence for each problem.
func (c Config) Validate() error {
	var problems []error
	report := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	report(c.MaxAge.Duration < time.Millisecond, "maxAge is %s: give a duration above zero, such as 1h",
		c.MaxAge.Duration)
	report(c.MaxSkew.Duration < 0, "maxSkew is %s: give a duration of zero or more, such as 5m", c.MaxSkew.Duration)
	report(c.MinSecretLength < 1, "minSecretLength is %d: give 1 or more, since anybody can sign with an empty secret",
		c.MinSecretLength)
	report(c.Callers != CallersVerify && c.Callers != CallersTrust, "callers is %q: set it to %s or %s", c.Callers,
		CallersVerify, CallersTrust)
	report(!labelSelector(c.SecretLabel),
		"secretLabel is %q: give a label as key or key=value, such as tekgate.dev/webhook-secret", c.SecretLabel)
	report(c.MaxBodyBytes < 1, "maxBodyBytes is %d: give a number of bytes above zero, such as %d", c.MaxBodyBytes,
		Default().MaxBodyBytes)
	return errors.Join(append(problems, c.validate()...)...)
}

func labelSelector(label string) bool {
	key, value, _ := strings.Cut(label, "=")
	return label == "" || len(validation.IsQualifiedName(key)) == 0 && len(validation.IsValidLabelValue(value)) == 0
}
