package validator

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// Every look-up finds the object as it was put on the shelf, and no more objects than there is room for stay
// decoded.
func TestShelf(t *testing.T) {
	const room, all = 3, 20
	shelf := NewShelf(room)
	kind := schema.GroupVersionKind{Group: rule.TriggersGroup, Version: "v1beta1", Kind: "TriggerTemplate"}
	var packed []*Packed
	var want []map[string]any
	for i := range all {
		raw := fmt.Appendf(nil, `{"metadata":{"generateName":"run-%d-"},"spec":{"resourceTemplates":[{"n":%d}]}}`, i, i)
		fields, err := object.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		packed, want = append(packed, shelf.Pack(kind, raw, fields)), append(want, fields)
	}
	var group sync.WaitGroup
	for begin := range 4 {
		group.Go(func() {
			for i := range 10 * all {
				at := (begin*5 + i) % all
				subject := Subject{Kind: kind, Packed: packed[at]}
				if !reflect.DeepEqual(subject.Object(), want[at]) {
					t.Errorf("object %d is %v", at, subject.Object())
				}
				if name := subject.Name(); name != fmt.Sprintf("run-%d-", at) {
					t.Errorf("object %d is named %q", at, name)
				}
				spec, _ := subject.spelled()["spec"].(map[string]any)
				if spec["resourcetemplates"] == nil {
					t.Errorf("object %d is spelled %v", at, spec)
				}
			}
		})
	}
	group.Wait()
	decoded := 0
	for _, p := range packed {
		if p.unpacked != nil {
			decoded++
		}
	}
	if decoded != room {
		t.Errorf("%d objects are decoded, and there is room for %d", decoded, room)
	}
}
