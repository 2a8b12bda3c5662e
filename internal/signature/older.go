package signature

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tekgate/tekgate/internal/registry"
)

// Annotations of a layer in cosign's older formats (cosign, specs/SIGNATURE_SPEC.md).
const (
	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationLog         = "dev.sigstore.cosign/bundle"
	annotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// olderBundle is the version of bundles that need no more than the older formats have.
const olderBundle = "application/vnd.dev.sigstore.bundle+json;version=0.1"

// older writes a statement in one of cosign's older formats as a bundle. For a key its certificate
// and log are left out: a key needs none.
func older(statement registry.Statement, byKey bool) (verify.SignedEntity, error) {
	annotations := statement.Annotations
	if byKey {
		annotations = map[string]string{annotationSignature: annotations[annotationSignature]}
	}
	material, err := materialOf(annotations)
	if err != nil {
		return nil, err
	}
	b := &protobundle.Bundle{MediaType: olderBundle, VerificationMaterial: material}
	if statement.MediaType == registry.Envelope {
		envelope := &protodsse.Envelope{} // whose JSON is that of secure-systems-lab/dsse, envelope.md
		lenient := protojson.UnmarshalOptions{DiscardUnknown: true}
		if err := lenient.Unmarshal(statement.Content, envelope); err != nil {
			return nil, fmt.Errorf("reading an attestation: %w", err)
		}
		b.Content = &protobundle.Bundle_DsseEnvelope{DsseEnvelope: envelope}
		return bundle.NewBundle(b)
	}
	signed, err := base64.StdEncoding.DecodeString(statement.Annotations[annotationSignature])
	if err != nil {
		return nil, fmt.Errorf("its signature is not valid base64: %w", err)
	}
	sum := sha256.Sum256(statement.Content)
	b.Content = &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]},
		Signature:     signed,
	}}
	return bundle.NewBundle(b)
}

// materialOf returns the certificate, the entry of the log and the timestamp. Without a certificate
// it is a key that signed.
func materialOf(annotations map[string]string) (*protobundle.VerificationMaterial, error) {
	material := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}},
	}
	if text := annotations[annotationCertificate]; text != "" {
		found, err := cryptoutils.UnmarshalCertificatesFromPEM([]byte(text))
		if err != nil || len(found) == 0 {
			return nil, errors.New("its certificate is not in PEM form")
		}
		material.Content = &protobundle.VerificationMaterial_Certificate{
			Certificate: &protocommon.X509Certificate{RawBytes: found[0].Raw}}
	}
	if text := annotations[annotationLog]; text != "" {
		entry, err := entryOf(text)
		if err != nil {
			return nil, fmt.Errorf("reading its log entry: %w", err)
		}
		material.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	if text := annotations[annotationTimestamp]; text != "" {
		var stamp struct {
			SignedRFC3161Timestamp []byte
		}
		if err := json.Unmarshal([]byte(text), &stamp); err != nil {
			return nil, fmt.Errorf("reading its timestamp: %w", err)
		}
		material.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamp.SignedRFC3161Timestamp}}}
	}
	return material, nil
}

// entryOf reads an entry of the log Rekor as cosign stores it (cosign, pkg/cosign/bundle).
func entryOf(text string) (*protorekor.TransparencyLogEntry, error) {
	var stored struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"` //nolint:tagliatelle // the format's name
		}
	}
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, err
	}
	var kind struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := json.Unmarshal(stored.Payload.Body, &kind); err != nil {
		return nil, err
	}
	log, err := hex.DecodeString(stored.Payload.LogID)
	if err != nil {
		return nil, err
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex:          stored.Payload.LogIndex,
		LogId:             &protocommon.LogId{KeyId: log},
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.Version},
		IntegratedTime:    stored.Payload.IntegratedTime,
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: stored.SignedEntryTimestamp},
		CanonicalizedBody: stored.Payload.Body,
	}, nil
}
