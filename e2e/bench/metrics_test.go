package main

import (
	"math"
	"testing"
)

func TestWebhookCalls(t *testing.T) {
	const series = `apiserver_admission_webhook_admission_duration_seconds_`
	page := func(sum, count string) string {
		const labels = `",operation="CREATE",rejected="false",type="admit"`
		return "# HELP x\n" + series + `bucket{name="a.example.com` + labels + `,le="0.005"} 9` + "\n" +
			series + `sum{name="a.example.com` + labels + `} ` + sum + "\n" +
			series + `count{name="a.example.com` + labels + `} ` + count + "\n" +
			series + `sum{name="b.example.com` + labels + `} 1` + "\n" +
			series + `count{name="b.example.com` + labels + `} 1` + "\n"
	}
	before, err := parseWebhookCalls(page("1.5", "100"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := parseWebhookCalls(page("1.9", "300"))
	if err != nil {
		t.Fatal(err)
	}
	means := after.since(before)
	if len(means) != 1 || math.Abs(means["a.example.com"]-2) > 1e-9 {
		t.Errorf("the means are %v", means)
	}
	if _, err := parseWebhookCalls(page("many", "1")); err == nil {
		t.Error("a value that is no number passes")
	}
}
