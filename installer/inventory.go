package installer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// maxPacked bounds the packed inventory: a Secret holds at most a MiB. A release has some
// 130 KB, and an unfinished upgrade three of them.
const maxPacked = 1 << 20

// Versions are those of one installation, with their v; empty where unknown.
type Versions struct {
	Pipeline string `json:"pipeline,omitempty"`
	Triggers string `json:"triggers,omitempty"`
	Tekgate  string `json:"tekgate,omitempty"`
	// Components are the versions of the other parts by their names; UnknownVersion for one
	// whose objects name none.
	Components map[string]string `json:"components,omitempty"`
}

// String names what is installed.
func (v Versions) String() string {
	var parts []string
	for _, part := range v.all() {
		if part.version != "" {
			parts = append(parts, part.name+" "+part.version)
		}
	}
	if len(parts) == 0 {
		return "a release of unknown versions"
	}
	return strings.Join(parts, ", ")
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
	// Parts are those of all objects, Attempted ones included.
	Parts []Part `json:"parts,omitempty"`
	// Left are the definitions and namespaces of earlier releases that stayed, without their
	// content: a purge removes them.
	Left []*unstructured.Unstructured `json:"left,omitempty"`
	// Found are the identities of objects of the user's manifests that were in the cluster before
	// Tekgate applied them: they are not removed.
	Found []string `json:"found,omitempty"`
	// Complete says that the last apply ended well.
	Complete bool `json:"complete"`
	// Before is the release that Objects replaced; nil if none is known.
	Before *Recorded `json:"before,omitempty"`
	// Returning says that the apply that has not ended well is a rollback to Before.
	Returning bool `json:"returning,omitempty"`
	// Adopted says that before the apply that has not ended well the cluster had a Tekton
	// that Tekgate had not installed.
	Adopted bool `json:"adopted,omitempty"`

	read stamp // of the Secret that it was read from or written to
}

// Recorded is a release that was installed.
type Recorded struct {
	Versions Versions                     `json:"versions"`
	Objects  []*unstructured.Unstructured `json:"objects"`
	Parts    []Part                       `json:"parts,omitempty"`
}

// recorded returns the release of the last apply that ended well; nil if none did. Its
// versions come from its objects, because Versions are those of the last attempt.
func (i *Inventory) recorded() *Recorded {
	if i == nil || len(i.Objects) == 0 {
		return nil
	}
	versions := VersionsOf(i.Objects, i.Parts...)
	for _, obj := range i.Objects {
		if obj.GetKind() == "Deployment" && obj.GetNamespace() == Namespace {
			versions.Tekgate = live.Text(obj.Object, "spec", "template", "metadata", "labels", "app.kubernetes.io/version")
		}
	}
	// Those of an apply that has not ended well count no more.
	parts := slices.DeleteFunc(slices.Clone(i.Parts), func(p Part) bool { return len(p.Of(i.Objects)) == 0 })
	return &Recorded{Versions: versions, Objects: i.Objects, Parts: parts}
}

// Earlier returns the release that a rollback returns to: the one before the release that
// is installed, or the last that was installed whole if a later apply did not end well. It
// is nil if none is known.
func (i *Inventory) Earlier() *Recorded {
	switch {
	case i == nil:
		return nil
	case i.Complete:
		return i.Before
	}
	return i.recorded()
}

// All returns every object that Tekgate may have written, each once: those of
// an unfinished apply, those of the one before it, and what stayed of earlier ones.
func (i *Inventory) All() []*unstructured.Unstructured {
	if i == nil {
		return nil
	}
	var all []*unstructured.Unstructured
	seen := map[string]bool{}
	for _, list := range [][]*unstructured.Unstructured{i.Attempted, i.Objects, i.Left} {
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
			"reading the inventory, %s: %w: it is not what Tekgate wrote: restore it from a backup, or delete it, which loses "+
				"the release to roll back to and the list of components and further manifests: name these again with "+
				"--with and --manifest in the next install",
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
	inventory := &Inventory{read: stampOf(secret)}
	return inventory, json.Unmarshal(text, inventory)
}

// errInventoryChanged says that the inventory is not what a plan was made from.
var errInventoryChanged = errors.New("another install or uninstall has changed this installation since the plan was made: " +
	"run the same command again")

// WriteInventory writes the cluster's inventory in place of the one that was read; nil
// stands for none. If the cluster has another one by now, nothing is written.
func WriteInventory(ctx context.Context, c client.Client, inventory, before *Inventory) error {
	secret := InventorySecret()
	packed, err := packInventory(inventory)
	if len(packed) > maxPacked && inventory.Before != nil {
		// An upgrade needs the rest, and a rollback is not worth to fail for.
		small := *inventory
		small.Before = nil
		packed, err = packInventory(&small)
	}
	if err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	secret.Object["type"] = inventoryType
	secret.Object["data"] = map[string]any{inventoryKey: base64.StdEncoding.EncodeToString(packed)}
	secret.SetLabels(map[string]string{"app.kubernetes.io/part-of": "tekgate"})
	if err := replaceSecret(ctx, c, secret, before); err != nil {
		return fmt.Errorf("writing the inventory, %s: %w", kube.Name(secret), err)
	}
	inventory.read = stampOf(secret)
	return nil
}

// replaceSecret creates a Secret, or applies it to the one that an inventory was read from.
func replaceSecret(ctx context.Context, c client.Client, secret *unstructured.Unstructured, before *Inventory) error {
	if before == nil {
		err := c.Create(ctx, secret, client.FieldOwner(FieldManager))
		if apierrors.IsAlreadyExists(err) {
			return errInventoryChanged
		}
		return err
	}
	// A resourceVersion makes the server refuse to change another state of the Secret, and
	// the UID to create it if it was deleted.
	secret.SetResourceVersion(before.read.revision)
	secret.SetUID(before.read.uid)
	err := c.Apply(
		ctx,
		client.ApplyConfigurationFromUnstructured(secret),
		client.FieldOwner(FieldManager),
		client.ForceOwnership,
	)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return errInventoryChanged
	}
	return err
}

// checkInventory fails if the inventory is not the one that a plan was made from.
func checkInventory(ctx context.Context, c client.Client, before *Inventory) error {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(live.Secret)
	var planned, now stamp
	if before != nil {
		planned = before.read
	}
	found, err := kube.NewReader(c).Find(ctx, Namespace, InventoryName, metadata)
	if err != nil {
		return err
	}
	if found {
		now = stampOf(metadata)
	}
	if planned != now {
		return errInventoryChanged
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
