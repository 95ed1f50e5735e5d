.PHONY: build demo test bench
build: ; go build -o bin/schakel ./cmd/schakel
demo: ; go run ./cmd/schakel demo
test: ; test/run
bench: ; go test -run '^$$' -bench . -benchmem ./...
