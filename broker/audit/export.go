package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/schakel/schakel/broker"
)

// ExportFormat sorts exports.
type ExportFormat string

// Closed list of ExportFormat.
const (
	ExportLDV ExportFormat = "ldv" // Logboek Dataverwerkingen: a span for each disclosure and data subject, as OTLP/JSON
	ExportADL ExportFormat = "adl" // Authorization Decision Log, level 4: a record for each decision
	ExportCSV ExportFormat = "csv" // for people: a row for each disclosure
)

// ExportConfig says what to export.
type ExportConfig struct {
	Window RequestsConfig // Vault is needed
	Format ExportFormat
	Log    string // the log's id

	// Holder leaves only what was asked of this agency (ldv and csv): who asked, in which role, for what. The worker is not in
	// it: that is for the agency that asked.
	Holder broker.OIN
	Names  map[broker.OIN]string // of agencies, for csv; those that are not in it have their OIN alone
	// Activity gives the URI of the processing activity of a purpose in the register of processing (AVG 30), for ldv.
	Activity func(broker.Purpose) string
}

// ExportReport counts an export.
type ExportReport struct {
	Events  int        `json:"events"`  // disclosures and refusals that are in it
	Records int        `json:"records"` // lines, without a heading
	First   *time.Time `json:"first"`   // of those events
	Last    *time.Time `json:"last"`
	Erased  int        `json:"erased"`  // parts of events of which the key was deleted: what they said is not in it
	Damaged []string   `json:"damaged"` // "writer epoch-seq" of events that can't be read, in whole or in part
}

// Export writes the disclosures of a window, one record a line. It holds no BSN: data subjects have the pseudonym of this log.
func Export(ctx context.Context, c ExportConfig, out io.Writer) (ExportReport, error) {
	r := ExportReport{Damaged: []string{}}
	if c.Window.Vault == nil {
		return r, fmt.Errorf("export: who asked and about whom stands encrypted; it needs the key ring")
	}
	var write func(Disclosure) (int, error)
	switch lines := jsonLines(out); {
	case c.Format == ExportLDV:
		write = func(d Disclosure) (int, error) { return lines(c.ldv(d)) }
	case c.Format == ExportADL && c.Holder == "":
		write = func(d Disclosure) (int, error) { return lines(c.adl(d)) }
	case c.Format == ExportCSV:
		rows, err := c.csv(out)
		if err != nil {
			return r, fmt.Errorf("export: %w", err)
		}
		write = rows
	default:
		return r, fmt.Errorf("export: there is no format %q of this; ldv, adl and csv, and of what was asked of a holder ldv and csv", c.Format)
	}
	for d, err := range Disclosures(ctx, c.Window, nil) {
		if err != nil {
			return r, err
		}
		if d.Damaged || d.unread(PartDamaged) > 0 {
			r.Damaged = append(r.Damaged, d.Name())
		}
		if d.Damaged {
			continue
		}
		if c.Holder != "" && (d.Staff == nil || !slices.Contains(d.Staff.Asked, broker.AskedName{Holder: c.Holder})) {
			if d.StaffState == PartErased {
				r.Erased++
			}
			continue
		}
		r.Erased += d.unread(PartErased)
		n, err := write(d)
		if err != nil {
			return r, fmt.Errorf("export: %w", err)
		}
		r.Events++
		r.Records += n
		at := d.Time
		if r.First == nil || at.Before(*r.First) {
			r.First = &at
		}
		if r.Last == nil || r.Last.Before(at) {
			r.Last = &at
		}
	}
	return r, nil
}

// unread counts the parts that are not shown for this reason.
func (d Disclosure) unread(why PartState) (n int) {
	if d.StaffState == why {
		n++
	}
	for _, s := range d.Subjects {
		if s.State == why {
			n++
		}
	}
	return n
}

func jsonLines(out io.Writer) func([]any) (int, error) {
	return func(records []any) (int, error) {
		for _, r := range records {
			line, err := marshal(r)
			if err == nil {
				_, err = out.Write(append(line, '\n'))
			}
			if err != nil {
				return 0, err
			}
		}
		return len(records), nil
	}
}

// trace gives the trace of an event, and the span that its records are below. What was recorded without one gets one of its
// own, made of the event's hash.
func (d Disclosure) trace() (trace, parent string) {
	if d.Staff != nil && d.Staff.TraceID != "" {
		return d.Staff.TraceID, d.Staff.SpanID
	}
	return hex.EncodeToString(d.Hash[:16]), ""
}

// span gives the id of record n of an event: the same in every export.
func (d Disclosure) span(kind ExportFormat, n int) string {
	h := sha256.New()
	h.Write(d.Hash[:])
	h.Write(binary.BigEndian.AppendUint32([]byte(kind), uint32(n)))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// attribute is one of OTLP/JSON.
type attribute struct {
	Key   string `json:"key"`
	Value struct {
		String string `json:"stringValue"`
	} `json:"value"`
}

func attributes(pairs ...string) (out []attribute) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			a := attribute{Key: pairs[i]}
			a.Value.String = pairs[i+1]
			out = append(out, a)
		}
	}
	return out
}

// ldv gives a record of the Logboek Dataverwerkingen for each data subject: an OTLP export request with one span. No user is
// in it: that is for the audit log itself.
func (c ExportConfig) ldv(d Disclosure) (out []any) {
	type object = map[string]any
	trace, parent := d.trace()
	at := strconv.FormatInt(d.Time.UnixNano(), 10)
	for n, s := range d.Subjects {
		if s.Part == nil || (c.Holder != "" && !slices.Contains(s.Part.Asked, broker.AskedName{Holder: c.Holder})) {
			continue
		}
		span := object{"traceId": trace, "spanId": d.span(ExportLDV, n), "name": "verstrekking", "kind": 2, // server
			"startTimeUnixNano": at, "endTimeUnixNano": at, "status": object{"code": 1}, // a refusal is no error
			"attributes": attributes(
				"dpl.core.processing_activity_id", c.Activity(s.Part.Purpose),
				"dpl.core.data_subject_id", s.Pseudonym,
				"dpl.core.data_subject_id_type", "pseudoniem",
				"dpl.core.foreign_operation.processor", "urn:oin:"+string(s.Part.Agency),
				"schakel.log", c.Log, "schakel.event", d.Hash.String())}
		if parent != "" {
			span["parentSpanId"] = parent
		}
		out = append(out, object{"resourceSpans": []any{object{
			"resource":   object{"attributes": attributes("service.name", "schakel", "service.instance.id", d.Writer)},
			"scopeSpans": []any{object{"scope": object{"name": "schakel"}, "spans": []any{span}}}}}})
	}
	return out
}

// adl gives a record of the Authorization Decision Log for each decision, at level 4: request and response whole, and what
// else decided by reference. (trace_id, span_id) is the same in every export.
func (c ExportConfig) adl(d Disclosure) (out []any) {
	type object = map[string]any
	trace, parent := d.trace()
	for n := range min(len(d.Parts.Queries), len(d.Parts.Decisions)) {
		revision := d.Parts.Policy.Revision
		if n < len(d.Parts.Revisions) {
			revision = d.Parts.Revisions[n]
		}
		record := object{"trace_id": trace, "span_id": d.span(ExportADL, n), "event_name": "adl.access_evaluation",
			"timestamp": d.Time.UTC().Format(time.RFC3339Nano), "status": "Ok", // a refusal is no error
			"resource": object{"service.name": "schakel", "service.instance.id": d.Writer},
			"body":     object{"adl.core.request": d.Parts.Queries[n], "adl.core.response": d.Parts.Decisions[n]},
			"attributes": object{
				"adl.core.policies":      "urn:schakel:policy:" + string(revision),
				"adl.core.information":   fmt.Sprintf("urn:schakel:log:%s:register:%d", c.Log, d.Position),
				"adl.core.configuration": d.Parts.Policy.Engine,
				"schakel.event":          fmt.Sprintf("urn:schakel:log:%s:event:%s", c.Log, d.Hash)}}
		if parent != "" {
			record["parent_span_id"] = parent
		}
		out = append(out, record)
	}
	return out
}
