package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/keys"
)

func whyCommand(t *testing.T, in string, args ...string) (code int, out, say string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), append([]string{"policy", "why"}, args...), strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

// TestWhyOfARecordedDecision: an answer is found by its id, explained by the revision that decided it, and that somebody
// looked stands in the log; for an id that is not there nothing is.
func TestWhyOfARecordedDecision(t *testing.T) {
	l := newImpactLog(t, 2*together)
	l.officers(t, "canary-officer", "canary-suspended")
	e := l.events[slices.IndexFunc(l.events, func(e loggedEvent) bool { return len(e.subjects) > 1 && e.Common.Policy.Revision == l.base })]
	code, out, say := whyCommand(t, "", string(e.Staff.Request), "--data", l.dir, "--json", "--officer", "canary-officer")
	var got []explained
	if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil {
		t.Fatalf("exit %d: %v %s", code, err, say)
	}
	n := 0
	for _, s := range e.Common.Subjects {
		for _, q := range s.Queries {
			var dec broker.Decision
			if err := json.Unmarshal(e.Common.Decisions[q], &dec); err != nil {
				t.Fatal(err)
			}
			if got[n].Subject != s.Subject || got[n].Why.Revision != l.base || !bytes.Equal(got[n].Why.Query.Bytes(), e.Common.Queries[q]) {
				t.Errorf("got %+v, want %s", got[n], e.Common.Queries[q])
			}
			for _, f := range got[n].Why.Fields {
				if g, ok := dec.Grants[f.Field]; ok != (f.Grant != nil) || (ok && g != *f.Grant) {
					t.Errorf("%s: %v, recorded %v", f.Field, f.Grant, g)
				}
			}
			n++
		}
	}
	if n != len(got) {
		t.Errorf("%d explained, %d recorded", len(got), n)
	}
	// Who is no officer, is one no more, or has not their key, sees nothing, and nothing is recorded.
	key := func(id string) string { return officerFile(l.dir, id) }
	for _, tt := range []struct {
		args []string
		says string
	}{{nil, "who are you"}, {[]string{"--officer", "niemand", "--key", key("canary-officer")}, "no officer"},
		{[]string{"--officer", "canary-suspended"}, "suspended"}, {[]string{"--officer", "canary-officer", "--key", key("canary-suspended")}, "not the key"}} {
		if code, out, say := whyCommand(t, "", append([]string{string(e.Staff.Request), "--data", l.dir}, tt.args...)...); code == 0 || out != "" || !strings.Contains(say, tt.says) {
			t.Errorf("%v: exit %d: %s%s", tt.args, code, out, say)
		}
	}
	if code, _, say := whyCommand(t, "", "0193a2b4-0000-7000-8000-000000000000", "--data", l.dir, "--officer", "canary-officer"); code != exitFailure || !strings.Contains(say, "not in the log") {
		t.Errorf("exit %d: %s", code, say)
	}
	if log := l.opened(t, "canary-officer"); strings.Count(log, " view of=") != 2 || !strings.Contains(log, `how="policy why" worker="canary-officer"`) {
		t.Errorf("views in the log:\n%s", log)
	}
}

// opened is the log as an auditor reads it, with the look that this is.
func (l *impactLog) opened(t *testing.T, auditor string) string {
	t.Helper()
	var log, errs bytes.Buffer
	if code := run(t.Context(), []string{"audit", "log", "--data", l.dir, "--officer", auditor, "--purpose", "controle", "--ground", "AVG 32, steekproef"}, nil, &log, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	return log.String()
}

// officers adds an auditor to the register, and another who is suspended.
func (l *impactLog) officers(t *testing.T, good, suspended string) {
	t.Helper()
	command := func(args ...string) {
		t.Helper()
		var out, say bytes.Buffer
		if code := run(context.Background(), append(args, "--data", l.dir), nil, &out, &say); code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, say.String())
		}
	}
	if err := os.MkdirAll(filepath.Join(l.dir, officersFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{good, suspended} {
		public, private, err := keys.NewAgencyKey(keys.ES256)
		file := filepath.Join(l.dir, officersFolder, id+".pub")
		if err == nil {
			err = errors.Join(os.WriteFile(officerFile(l.dir, id), private, 0o600), os.WriteFile(file, public, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		command("register", "officer", "add", id, "--role", "auditor", "--public-key", file)
	}
	command("register", "officer", "suspend", suspended)
	w := &where{data: l.dir} // a policy in force says what they may
	if err := w.write(t.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
		return d.register.DoAll(t.Context(), appender(writer), register.Operator{Name: "proef"}, []register.Command{register.ActivatePolicy{Revision: l.base}})
	}); err != nil {
		t.Fatal(err)
	}
}

// TestWhyOfAQuestion: the same question by flags and as JSON has the same explanation.
func TestWhyOfAQuestion(t *testing.T) {
	code, out, say := whyCommand(t, "", "--json", "--role", "wijkteammedewerker", "--purpose", "ontruiming-voorkomen", "--mandate", "wgs", "--field", "ggz.behandelaar")
	var r workbench.WhyReport
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil || len(r.Fields) != 1 || r.Fields[0].Grant != nil || len(r.Fields[0].Changes) == 0 {
		t.Fatalf("exit %d: %v %s %s", code, err, say, out)
	}
	if code, again, say := whyCommand(t, string(r.Query.Bytes()), "--json", "--file", "-"); code != 0 || again != out {
		t.Errorf("exit %d: %s\n%s\n%s", code, say, again, out)
	}
	text := filepath.Join(t.TempDir(), "q.json")
	if err := os.WriteFile(text, []byte(`{"who":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--file", text}, {"zaak-001"}, {"--role", "x", "--purpose", "y"}} {
		if code, _, say := whyCommand(t, "", args...); code != exitUsage || say == "" {
			t.Errorf("%v: exit %d: %s", args, code, say)
		}
	}
}

func TestWhenAnswered(t *testing.T) {
	cfg, err := whenAnswered("0193a2b4-1234-7000-8000-000000000001")
	if at := time.UnixMilli(0x0193a2b41234); err != nil || !cfg.Since.Before(at) || !cfg.Until.After(at) || cfg.Until.Sub(cfg.Since) > 3*time.Hour {
		t.Errorf("%v, %v", cfg, err)
	}
	for _, bad := range []string{"", "zaak-001", "0193a2b4-1234-4000-8000-000000000001", strings.Repeat("x", 64)} {
		if _, err := whenAnswered(bad); err == nil {
			t.Errorf("%q is a decision", bad)
		}
	}
}
