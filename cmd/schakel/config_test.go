package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

const minimal = `
shard: "0599"
writer: gw1
listen: 127.0.0.1:8443
audience: https://schakel.example
data: /var/lib/schakel
keys: {file: keys.jwe}
redis: {addresses: ["127.0.0.1:6379"]}
`

func TestConfigOfCompose(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"gw1", "gw2"} {
		c, err := readConfig("../../test/compose/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if c.Shard != "0599" && len(c.Shard) != 4 {
			t.Errorf("shard %q is no CBS code", c.Shard)
		}
		if c.Writer != file {
			t.Errorf("writer %q", c.Writer)
		}
		if _, err := c.sources(); err != nil {
			t.Error(err)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", minimal + "redsi: {}\n", "redsi"},
		{"unknown key deep down", minimal + "limits: {brust: 3}\n", "brust"},
		{"a key twice", minimal + "writer: gw2\n", "writer"},
		{"nothing", "", "missing: audience, data, keys.file, listen, redis.addresses, shard, writer"},
		{"half a certificate", minimal + "tls: {certificate: a.pem}\n", "certificate and key go together"},
		{"no roots for required certificates", minimal + "tls: {requireClientCertificate: true}\n", "needs clientCA"},
		{"a bound switched off", minimal + "limits: {shutdownTimeout: -1s}\n", "limits.shutdownTimeout"},
		{"a bound switched off", minimal + "limits: {burst: -1}\n", "limits.burst"},
		{"a writer that is no name", strings.Replace(minimal, "gw1", "'gw 1'", 1), "writer:"},
		{"the writer of commands", strings.Replace(minimal, "gw1", "admin", 1), "choose another"},
		{"the writer of imports", strings.Replace(minimal, "gw1", "import", 1), "choose another"},
		{"an archive nowhere", minimal + "archive: {older: 24h}\n", "need archive.folder"},
		{"an archive of the future", minimal + "archive: {folder: a, older: -1h}\n", "archive.older"},
		{"no network", minimal + "metricsFrom: [10.0.0.1]\n", "metricsFrom[0]"},
		{"no YAML", "\t{", ""},
	} {
		_, err := parseConfig([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to name %q", c.name, err, c.want)
		}
	}
}

// TestConfigArchive: nothing is moved without a folder; with one, what is a month old, every hour.
func TestConfigArchive(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]archiveConfig{
		"":                            {},
		"archive: {folder: /mnt/a}\n": {"/mnt/a", 720 * time.Hour, time.Hour},
		"archive: {folder: /a, older: 2160h, every: 10m}\n": {"/a", 2160 * time.Hour, 10 * time.Minute},
	} {
		if c, err := parseConfig([]byte(minimal + text)); err != nil || c.Archive != want {
			t.Errorf("%s: %+v, %v", text, c.Archive, err)
		}
	}
}

func TestConfigShowsNoValues(t *testing.T) {
	t.Parallel()
	_, err := parseConfig([]byte(minimal + "password: geheim-wachtwoord\n"))
	if err == nil || strings.Contains(err.Error(), "geheim-wachtwoord") {
		t.Errorf("the error shows a value: %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(minimal + "sources: [{holder: '1', protocol: rest, fields: {a.b: {name: x, type: text}}}]"))
	f.Add([]byte("a: &a [*a]"))
	if data, err := os.ReadFile("../../test/compose/gw1.yaml"); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(data)
		if err != nil {
			return
		}
		if c.Shard == "" || c.Writer == "" || len(c.Redis.Addresses) == 0 {
			t.Error("accepted without what is required")
		}
		_, _ = c.sources() // must not panic
	})
}

func TestRedisURL(t *testing.T) {
	t.Parallel()
	c, err := parseRedisURL("redis://wim@127.0.0.1:7000,127.0.0.1:7001?shard=0599&cluster=1&replicas=1")
	if err != nil || len(c.Addrs) != 2 || !c.Cluster || c.Shard != "0599" || c.WaitReplicas != 1 || c.Username != "wim" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, s := range []string{"redis://u:geheim@h:1?shard=0599", "http://h?shard=1", "redis://h:1", "redis://h:1?shard=1&replicas=x", "::"} {
		if _, err := parseRedisURL(s); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", s, err)
		}
	}
}
