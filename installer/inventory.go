package installer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Where the inventory lies. It is a Secret, since manifests may hold Secrets.
const (
	Namespace     = wellknown.TekgateNamespace
	InventoryName = "tekgate-inventory"
	inventoryType = "tekgate.dev/inventory"
	inventoryKey  = "inventory.json.gz"
)

// maxInventory bounds the unpacked inventory: two releases have some 3 MB.
const maxInventory = 64 << 20

// Versions are those of one installation, with their v; empty where unknown.
type Versions struct {
	Pipeline string `json:"pipeline,omitempty"`
	Triggers string `json:"triggers,omitempty"`
	Tekgate  string `json:"tekgate,omitempty"`
}

// Inventory is what Tekgate remembers of an installation in the cluster
// itself: the base that upgrades compare with, and what uninstall looks for.
type Inventory struct {
	Versions Versions  `json:"versions"`
	Time     time.Time `json:"time"`
	// Objects are those of the last apply that ended well, as they were
	// rendered, before anything of the cluster was merged into them.
	Objects []*unstructured.Unstructured `json:"objects"`
	// Attempted are those of an apply that has not ended well: each of them may
	// be in the cluster or not.
	Attempted []*unstructured.Unstructured `json:"attempted,omitempty"`
	// Complete says that the last apply ended well.
	Complete bool `json:"complete"`
}

// All returns every object that Tekgate may have written, each once: those of
// an unfinished apply and those of the one before it.
func (i *Inventory) All() []*unstructured.Unstructured {
	if i == nil {
		return nil
	}
	var all []*unstructured.Unstructured
	seen := map[string]bool{}
	for _, list := range [][]*unstructured.Unstructured{i.Attempted, i.Objects} {
		for _, obj := range list {
			if !seen[kube.Identity(obj)] {
				seen[kube.Identity(obj)] = true
				all = append(all, obj)
			}
		}
	}
	return all
}

// InventorySecret returns the Secret of the inventory, without its data.
func InventorySecret() *unstructured.Unstructured {
	return NewObject(live.Secret, Namespace, InventoryName)
}

// ReadInventory returns the cluster's inventory, or nil if there is none.
func ReadInventory(ctx context.Context, c client.Reader) (*Inventory, error) {
	secret := InventorySecret()
	err := c.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the inventory, %s: %w", kube.Name(secret), err)
	}
	inventory, err := unpackInventory(secret)
	if err != nil {
		return nil, fmt.Errorf(
			"reading the inventory, %s: %w: it is not what Tekgate wrote; delete it to go on without knowledge of the previous release",
			kube.Name(secret),
			err,
		)
	}
	return inventory, nil
}

func unpackInventory(secret *unstructured.Unstructured) (*Inventory, error) {
	encoded, _, err := unstructured.NestedString(secret.Object, "data", inventoryKey)
	if err != nil {
		return nil, err
	}
	packed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(zip, maxInventory))
	if err != nil {
		return nil, err
	}
	inventory := &Inventory{}
	return inventory, json.Unmarshal(text, inventory)
}

// WriteInventory replaces the cluster's inventory.
func WriteInventory(ctx context.Context, c client.Client, inventory *Inventory) error {
	secret := InventorySecret()
	packed, err := packInventory(inventory)
	if err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	secret.Object["type"] = inventoryType
	secret.Object["data"] = map[string]any{inventoryKey: base64.StdEncoding.EncodeToString(packed)}
	secret.SetLabels(map[string]string{"app.kubernetes.io/part-of": "tekgate"})
	err = c.Apply(
		ctx,
		client.ApplyConfigurationFromUnstructured(secret),
		client.FieldOwner(FieldManager),
		client.ForceOwnership,
	)
	if err != nil {
		return fmt.Errorf("writing the inventory, %s: %w", kube.Name(secret), err)
	}
	return nil
}

func packInventory(inventory *Inventory) ([]byte, error) {
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(zip).Encode(inventory); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
