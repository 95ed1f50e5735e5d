package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figures is what a run found.
type figures struct {
	Date        string   `json:"date"`
	Cores       int      `json:"cores"`
	Go          string   `json:"go"`
	Connections int      `json:"connections"`
	Questions   int      `json:"questions"`
	Queries     float64  `json:"queries_per_request"` // policy queries that one request needs, on average
	Columns     []column `json:"columns"`
	Half        *half    `json:"half_load,omitempty"`
	Sizes       []size   `json:"sizes,omitempty"`
	Scale       []column `json:"gateways,omitempty"`
}

// column is one way of answering the mix. Times are in milliseconds; each figure is the median of the rounds.
type column struct {
	Name   string             `json:"name"`
	RPS    float64            `json:"rps"`
	P50    float64            `json:"p50_ms"`
	P99    float64            `json:"p99_ms"`
	CPU    map[string]float64 `json:"cpu_us_per_request"` // by process
	Allocs float64            `json:"allocs_per_request"`
	Bytes  float64            `json:"bytes_per_answer"`
	Memo   float64            `json:"memo_hit_rate,omitempty"`
	Failed int                `json:"failed"`
}

func newFigures(o options) *figures {
	return &figures{Date: time.Now().UTC().Format(time.DateOnly), Cores: runtime.NumCPU(), Go: runtime.Version(), Connections: o.connections, Questions: o.questions}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

func columnOf(name string, windows []window) column {
	c := column{Name: name, CPU: map[string]float64{}}
	over := func(of func(w window, answers float64) float64) float64 {
		var all []float64
		for _, w := range windows {
			all = append(all, of(w, float64(max(1, len(w.latencies)))))
		}
		return median(all)
	}
	c.RPS = over(func(w window, _ float64) float64 { return w.rps() })
	c.P50 = over(func(w window, _ float64) float64 { return ms(w.percentile(.5)) })
	c.P99 = over(func(w window, _ float64) float64 { return ms(w.percentile(.99)) })
	c.Allocs = over(func(w window, n float64) float64 { return float64(w.counts.Mallocs) / n })
	c.Bytes = over(func(w window, n float64) float64 { return float64(w.bytes) / n })
	c.Memo = over(func(w window, _ float64) float64 {
		return float64(w.counts.Hits) / float64(max(1, w.counts.Hits+w.counts.Misses))
	})
	for process := range windows[0].cpu {
		c.CPU[process] = over(func(w window, n float64) float64 { return float64(w.cpu[process].Microseconds()) / n })
	}
	for _, w := range windows {
		c.Failed += w.failed
	}
	return c
}

func (f *figures) column(name string) column {
	for _, c := range f.Columns {
		if c.Name == name {
			return c
		}
	}
	return column{}
}

// write prints the figures and keeps them where a folder was named.
func (f *figures) write(o options, to io.Writer) error {
	if o.out != "" {
		data, err := json.MarshalIndent(f, "", "  ")
		if err == nil {
			err = os.WriteFile(filepath.Join(o.out, "figures.json"), append(data, '\n'), 0o644)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(o.out, "figures.svg"), f.plot(), 0o644)
		}
		if err != nil {
			return fmt.Errorf("keep figures: %w", err)
		}
	}
	if o.json && !o.quick {
		return json.NewEncoder(to).Encode(f)
	}
	if o.json {
		short := map[string]map[string]float64{}
		for _, c := range f.Columns {
			short[c.Name] = map[string]float64{"rps": round(c.RPS), "p50_ms": round(c.P50), "p99_ms": round(c.P99),
				"allocs": round(c.Allocs), "memo_hit_rate": round(c.Memo)}
		}
		return json.NewEncoder(to).Encode(short)
	}
	_, err := io.WriteString(to, f.text())
	return err
}

func round(v float64) float64 { return float64(int64(v*1000+0.5)) / 1000 }

func (f *figures) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d cores, %s, %d connections, %d distinct questions of %.1f policy queries each; medians of the rounds\n\n",
		f.Cores, f.Go, f.Connections, f.Questions, f.Queries)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\trequests/s\tp50 ms\tp99 ms\tof floor\tallocs\tmemo\tbytes\tfailed\tcpu µs a request\t")
	for _, c := range append(slices.Clone(f.Columns), f.Scale...) {
		cpu := []string{}
		for _, name := range slices.Sorted(mapsKeys(c.CPU)) {
			cpu = append(cpu, fmt.Sprintf("%s %.0f", name, c.CPU[name]))
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.0f\t%.1f%%\t%.0f\t%d\t%s\t\n", c.Name, c.RPS, c.P50, c.P99,
			c.RPS/max(1, f.column(kindFloor).RPS), c.Allocs, 100*c.Memo, c.Bytes, c.Failed, strings.Join(cpu, ", "))
	}
	_ = t.Flush() // a builder does not fail
	if ours, opa, assembly := f.column(kindBroker).RPS, f.column("opa").RPS, f.column("assembly").RPS; min(ours, opa, assembly) > 0 {
		fmt.Fprintf(&b, "\nThe broker does %.1f times what OPA's server does, and %.1f times the usual assembly.\n", ours/opa, ours/assembly)
	}
	if h := f.Half; h != nil {
		fmt.Fprintf(&b, "At half load (%.0f/s): p50 %.2f, p99 %.2f ms. As many durable XADDs: p50 %.2f, p99 %.2f ms; ratio of p99 %.1f. One by itself: p50 %.2f, p99 %.2f ms; ratio %.1f.\n",
			h.Rate, h.Broker.P50, h.Broker.P99, h.Xadd.P50, h.Xadd.P99, h.Broker.P99/h.Xadd.P99, h.Lone.P50, h.Lone.P99, h.Broker.P99/h.Lone.P99)
	}
	if len(f.Sizes) > 0 {
		fmt.Fprintln(&b)
		t = tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "households\tentries\trequests/s\tof the smallest\tp99 ms\tbytes a case\tready after s\tfrom the log\t")
		for _, s := range f.Sizes {
			fmt.Fprintf(t, "%d\t%d\t%.0f\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\t\n", s.Households, s.Entries, s.RPS, s.RPS/max(1, f.Sizes[0].RPS), s.P99, s.CaseBytes, s.ReadySeconds, s.ReplaySeconds)
		}
		_ = t.Flush()
	}
	return b.String()
}
