// Package compose holds the configuration of docker-compose.yml, and keeps it equal to the stand-in agencies. Run with
// -update after a change to them.
package compose

import (
	"bytes"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/schakel/schakel/test/agencies"
)

var update = flag.Bool("update", false, "write the configuration files")

func TestConfiguration(t *testing.T) {
	town, err := agencies.Start(agencies.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = town.Close() })
	files := map[string][]byte{}
	var sources []yaml.MapSlice
	for i, a := range town.Agencies() {
		if a.Protocol == "" {
			continue
		}
		u, err := url.Parse(a.BaseURL)
		if err != nil {
			t.Fatal(err)
		}
		u.Host = fmt.Sprintf("agencies:%d", 9100+i) // as `agencies --listen :9100` numbers them
		header := "apikeys/" + string(a.Kind)
		files[header] = []byte(a.Header["X-API-KEY"] + "\n")
		s := yaml.MapSlice{{Key: "holder", Value: string(a.OIN)}, {Key: "protocol", Value: a.Protocol},
			{Key: "address", Value: u.String()}, {Key: "plaintext", Value: true},
			{Key: "headerFiles", Value: map[string]string{"X-API-KEY": header}}}
		if a.Protocol == agencies.ProtocolREST {
			s = append(s, yaml.MapItem{Key: "key", Value: string(a.Key)}, yaml.MapItem{Key: "fields", Value: a.Fields})
		}
		sources = append(sources, s)
	}
	for _, gw := range []string{"gw1", "gw2"} {
		data, err := yaml.Marshal(yaml.MapSlice{
			{Key: "shard", Value: town.People().Municipality()}, {Key: "writer", Value: gw}, {Key: "listen", Value: ":8080"},
			{Key: "audience", Value: "http://schakel.example"}, {Key: "data", Value: "/data"},
			{Key: "keys", Value: yaml.MapSlice{{Key: "file", Value: "/keys/keys.jwe"}}},
			{Key: "redis", Value: yaml.MapSlice{{Key: "addresses", Value: []string{"redis:6379"}}}},
			{Key: "sources", Value: sources},
		})
		if err != nil {
			t.Fatal(err)
		}
		files[gw+".yaml"] = append([]byte("# Made by `go test ./test/compose -update`; the manual of these keys is cmd/schakel/config.go.\n"), data...)
	}
	for name, want := range files {
		if *update {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the stand-ins: run go test ./test/compose -update", name)
		}
	}
}
