package main

import (
	"strings"
	"testing"

	"github.com/schakel/schakel/test/agencies"
)

// TestResidentsConfig: residents never sign in in clear over a network, nor where officers do, nor without a level.
func TestResidentsConfig(t *testing.T) {
	t.Parallel()
	good := residentsConfig{Listen: "127.0.0.1:8446", URL: "https://inzage.example", Organisation: "Gemeente", Contact: "fg@gemeente.example",
		Issuer: "https://digid.example", ClientID: "x", ClientSecretFile: "x", BSNClaim: "bsn", Levels: []string{"hoog"}}
	if err := good.check("https://beleid.example"); err != nil {
		t.Fatal(err)
	}
	if err := (&residentsConfig{}).check(""); err != nil {
		t.Errorf("no site: %v", err)
	}
	for want, change := range map[string]func(*residentsConfig){
		"residents.url":          func(c *residentsConfig) { c.URL = "" },
		"residents.organisation": func(c *residentsConfig) { c.Organisation = "" },
		"residents.bsnClaim":     func(c *residentsConfig) { c.BSNClaim = "" },
		"residents.levels":       func(c *residentsConfig) { c.Levels = nil },
		"go together":            func(c *residentsConfig) { c.Key = "a.key" },
		"in clear":               func(c *residentsConfig) { c.Listen = "0.0.0.0:8446" },
		"https://":               func(c *residentsConfig) { c.URL = "http://inzage.example" },
		"another than":           func(c *residentsConfig) { c.URL = "https://beleid.example" },
	} {
		c := good
		change(&c)
		if err := c.check("https://beleid.example"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want …%s…: %v", want, err)
		}
	}
	proxied := good
	proxied.Listen, proxied.Proxy = "0.0.0.0:8446", true
	if err := proxied.check(""); err != nil {
		t.Errorf("behind a proxy: %v", err)
	}
	if s, err := (&demo{residents: "0.0.0.0:0"}).residentsSite(t.Context(), agencies.Population{}); err == nil {
		t.Errorf("the demo's site listens at %s", s.listener.Addr())
	}
}
