package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Setenv("SCHAKEL_BRP", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it starts everything, says so, and stops at once
	var out bytes.Buffer
	if err := run(ctx, []string{"--listen", "127.0.0.1:0"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"generated persons", "36 households", "rvig", "woningcorporatie", "by identity", "http://127.0.0.1:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q", want)
		}
	}
	for want, args := range map[string][]string{
		"is not host:port": {"--listen", "9100"},
		"leave --brp out":  {"--brp", t.TempDir() + "/none.csv"},
		"not defined":      {"--poort", "1"},
	} {
		if err := run(ctx, args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
