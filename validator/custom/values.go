package custom

import (
	"encoding/json"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// adapter gives CEL decoded JSON as Kubernetes does: a number without a fraction is an int. It
// copies nothing.
type adapter struct{}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(value any) ref.Val {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return types.Int(whole)
		}
		if float, err := value.Float64(); err == nil {
			return types.Double(float)
		}
		return types.NewErr("%q is not a number that CEL can hold", value.String())
	case map[string]any:
		return types.NewStringInterfaceMap(a, value)
	case []any:
		return types.NewDynamicList(a, value)
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}
