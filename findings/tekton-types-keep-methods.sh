#!/usr/bin/env bash
# A program that links Tekton's API types keeps every exported method of all its types.
#
# Software:    github.com/tektoncd/pipeline v1.15.1 (pkg/apis/pipeline/v1) and github.com/tektoncd/triggers v0.37.0
#              (pkg/apis/triggers/v1beta1) with what they require, among it knative.dev/pkg,
#              google.golang.org/grpc and github.com/google/go-cmp v0.7.0.
# Likely guess: the types are data. To validate a Task costs the code of the validation, and the linker
#              drops what nobody calls, such as most of a Kubernetes clientset.
# What happens: a program with Tekton's types and a clientset is almost half larger than it has to be. The
#              types reach knative.dev/pkg/observability and thereby gRPC, which registers a page of
#              requests; its template calls methods by names that are known only at run time, so the
#              linker keeps each exported method of each type. With the build tag grpcnotrace they are
#              dropped. A program that also validates an EventListener is as large in spite of the tag:
#              that validation reaches go-cmp through knative.dev/pkg/kmp, and go-cmp from v0.5.0 on asks
#              reflect for Method(i). It takes the tag and go-cmp v0.4.1.
# Why it matters: whoever writes a webhook, a linter or a command about Tekton pays for it in the size of
#              images and in memory, and no list of packages shows the cause. Either half of the remedy alone
#              changes nothing where both causes are there, so it is easily taken for useless.
#
# Needs: Go, and some minutes to compile. Uses no network besides the installation.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
mkdir program
cd program
cat > main.go <<'END'
package main

import (
	"context"
	"fmt"
	"os"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// listener validates an EventListener in a program that is built with the tag listener.
var listener = func() {}

func main() {
	task := &v1.Task{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	fmt.Println(task.Validate(context.Background()))
	listener()
	if len(os.Args) < 2 {
		return
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		panic(err)
	}
	pods, err := kubernetes.NewForConfigOrDie(config).CoreV1().Pods("a").List(context.Background(), metav1.ListOptions{})
	fmt.Println(len(pods.Items), err)
}
END
cat > listener.go <<'END'
//go:build listener

package main

import (
	"context"
	"fmt"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
)

func init() {
	listener = func() { fmt.Println((&v1beta1.EventListener{}).Validate(context.Background()) == nil) }
}
END
export CGO_ENABLED=0
{
  go mod init example.test/program
  go get github.com/tektoncd/pipeline@v1.15.1 github.com/tektoncd/triggers@v0.37.0
  go mod tidy
} > go.log 2>&1 || { cat go.log; exit 2; }

# build NAME TAGS builds the program and prints its size in bytes.
build() {
  go build -ldflags '-s -w' -tags "$2" -o "$work/$1" . >&2
  [[ $("$work/$1") = "missing field(s): spec.steps"* ]] || note_changed "$1 says $("$work/$1")"
  stat -c %s "$work/$1"
}
plain=$(build plain "")
tag=$(build tag grpcnotrace)
listener=$(build listener listener,grpcnotrace)
go mod edit -replace github.com/google/go-cmp=github.com/google/go-cmp@v0.4.1
go mod tidy > go.log 2>&1 || { cat go.log; exit 2; }
both=$(build both listener,grpcnotrace)
echo "  Task: $plain bytes, with grpcnotrace $tag"
echo "  Task and EventListener, with grpcnotrace: $listener bytes, and with go-cmp v0.4.1 $both"
[ $((tag * 100 / plain)) -le 80 ] || note_changed "grpcnotrace makes it no smaller"
[ $((listener * 100 / tag)) -ge 125 ] || note_changed "an EventListener makes it no larger"
[ $((both * 100 / listener)) -le 80 ] || note_changed "go-cmp v0.4.1 makes it no smaller"
finish
