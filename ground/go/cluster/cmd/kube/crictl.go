package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	runtimeSocket = "unix:///run/containerd/containerd.sock"
	crictlTimeout = 30 * time.Second
)

// crictl is as much of cri-tools' crictl as kind calls in a node: "inspecti IMAGE", and "images" for people. The
// real one is no Go module that can be had from a proxy.
func crictl(args []string) error {
	connection, err := grpc.NewClient(runtimeSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), crictlTimeout)
	defer cancel()
	images := cri.NewImageServiceClient(connection)
	switch {
	case len(args) == 2 && args[0] == "inspecti":
		return inspectImage(ctx, images, args[1])
	case len(args) == 1 && args[0] == "images":
		return listImages(ctx, images)
	}
	return fmt.Errorf("this crictl knows: inspecti IMAGE, images")
}

// inspectImage prints the fields that kind reads, in crictl's form; an image that is not there is an error.
func inspectImage(ctx context.Context, images cri.ImageServiceClient, name string) error {
	reply, err := images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	if err != nil {
		return err
	}
	image := reply.GetImage()
	if image == nil {
		return fmt.Errorf("no such image %q present", name)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"status": map[string]any{
		"id":          image.Id,
		"repoTags":    image.RepoTags,
		"repoDigests": image.RepoDigests,
		"size":        strconv.FormatUint(image.Size, 10),
	}})
}

func listImages(ctx context.Context, images cri.ImageServiceClient) error {
	reply, err := images.ListImages(ctx, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	for _, image := range reply.GetImages() {
		fmt.Println(image.Id, image.Size, image.RepoTags)
	}
	return nil
}
