# Builds the one binary and the stand-in agencies; runs as nobody from an empty image with CA roots.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ENV CGO_ENABLED=0
RUN go build -trimpath -ldflags="-s -w" -o /out/schakel ./cmd/schakel \
 && go build -trimpath -ldflags="-s -w" -o /out/agencies ./test/agencies/cmd/agencies \
 && go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 bin -json -std -output /out/schakel.cdx.json /out/schakel \
 && install -d -m 0700 -o 65532 -g 65532 /out/data /out/keys /out/example

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/schakel /out/schakel.cdx.json /out/agencies /
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/keys /keys
COPY --from=build --chown=65532:65532 /out/example /example
USER 65532:65532
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/schakel"]
