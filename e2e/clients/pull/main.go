// Command pull asks a containerd for an image as the kubelet does, through the CRI, with the account
// that a pull Secret has. It prints what containerd lists of the image, or the error.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Image is what is printed.
type Image struct {
	Tags    []string `json:"tags"`
	Digests []string `json:"digests"`
	Error   string   `json:"error,omitempty"`
}

func main() {
	socket := flag.String("socket", "", "`PATH` of containerd's socket")
	user := flag.String("user", "", "`NAME` of the account; the password is pw")
	flag.Parse()
	if err := run(*socket, *user, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "pull:", err)
		os.Exit(1)
	}
}

func run(socket, user, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	images := cri.NewImageServiceClient(connection)
	request := &cri.PullImageRequest{Image: &cri.ImageSpec{Image: name}}
	if user != "" {
		request.Auth = &cri.AuthConfig{Username: user, Password: "pw"}
	}
	var out Image
	pulled, err := images.PullImage(ctx, request, grpc.WaitForReady(true))
	if err != nil {
		out.Error = err.Error()
		return json.NewEncoder(os.Stdout).Encode(out)
	}
	spec := &cri.ImageSpec{Image: pulled.GetImageRef()}
	status, err := images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: spec})
	if err != nil {
		return err
	}
	out.Tags, out.Digests = status.GetImage().GetRepoTags(), status.GetImage().GetRepoDigests()
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return err
	}
	_, err = images.RemoveImage(ctx, &cri.RemoveImageRequest{Image: spec})
	return err
}
