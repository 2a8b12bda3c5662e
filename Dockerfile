# One image for both servers and the command line. It is made from nothing,
# because those who need Tekgate cannot pull a base image: the binaries are
# static, and the only file beside them is the CA bundle of the build stage.
# A build behind a mirror sets GO_IMAGE and GOPROXY.
ARG GO_IMAGE=docker.io/library/golang:1.26
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
ARG TARGETOS=linux TARGETARCH=amd64 GOPROXY
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The release is assembled by a program of the build machine, the rest is for the target.
RUN make manifests/release/.stamp && GOOS=$TARGETOS GOARCH=$TARGETARCH make build

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/tekgate /src/bin/webhook /src/bin/interceptor /
USER 65532:65532
ENTRYPOINT ["/tekgate"]
