package deps

import (
	_ "github.com/agext/levenshtein"
	_ "github.com/aymanbagabas/go-udiff"
	_ "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	_ "github.com/distribution/reference"
	_ "github.com/evanphx/json-patch/v5"
	_ "github.com/fluxcd/pkg/ssa"
	_ "github.com/google/go-containerregistry/pkg/registry"
	_ "github.com/google/go-containerregistry/pkg/v1/remote"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/spf13/cobra/doc"
	_ "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	_ "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	_ "gomodules.xyz/jsonpatch/v2"
	_ "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	_ "sigs.k8s.io/controller-runtime/pkg/envtest"
	_ "sigs.k8s.io/controller-runtime/pkg/manager"
	_ "sigs.k8s.io/controller-runtime/pkg/webhook"
	_ "sigs.k8s.io/json"
	_ "sigs.k8s.io/yaml"
)
