package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/schakel/schakel/broker/audit/archive"
)

// TestArchiveMetrics: how much was moved, how long ago and how often not; of what failed half way too.
func TestArchiveMetrics(t *testing.T) {
	var a archiving
	reg := prometheus.NewRegistry()
	for _, m := range a.metrics() {
		if err := reg.Register(m); err != nil {
			t.Fatal(err)
		}
	}
	is := func(when string, want map[string]float64) {
		t.Helper()
		families, err := reg.Gather()
		if err != nil || len(families) != 5 {
			t.Fatal(len(families), err)
		}
		for _, f := range families {
			m := f.GetMetric()[0]
			got := m.GetCounter().GetValue() + m.GetGauge().GetValue()
			if w := want[strings.TrimPrefix(f.GetName(), "schakel_")]; got < w || got > w+1 || (got != w && !strings.HasSuffix(f.GetName(), "_seconds")) {
				t.Errorf("%s: %s is %v, want %v", when, f.GetName(), got, w)
			}
		}
	}
	is("at first", nil)
	long := time.Now().Add(-time.Hour)
	a.begins(long)
	a.did(archive.Moved{Events: 3, Waiting: 1}, errors.New("full"), time.Now())
	is("failed", map[string]float64{"archived_events_total": 3, "archive_failures_total": 1, "archive_age_seconds": 3600})
	a.begins(time.Now())
	a.did(archive.Moved{Events: 2, Trimmed: 4, Waiting: 1}, nil, long.Add(30*time.Minute))
	is("worked", map[string]float64{"archived_events_total": 5, "archive_dropped_events_total": 4, "archive_failures_total": 1, "archive_waiting_segments": 1, "archive_age_seconds": 1800})
	a.rests()
	is("another leads", map[string]float64{"archived_events_total": 5, "archive_dropped_events_total": 4, "archive_failures_total": 1})
}
