.PHONY: build demo test bench fuzz sbom vulns
FUZZTIME ?= 10m
build: ; go build -trimpath -o bin/schakel ./cmd/schakel
demo: ; go run ./cmd/schakel demo
test: ; test/run
bench: ; go run ./test/bench
fuzz: ; test/fuzz $(FUZZTIME)
sbom: build ; go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 bin -json -std -output bin/schakel.cdx.json bin/schakel
vulns: build ; go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -mode=binary bin/schakel
