package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDate(t *testing.T) {
	for in, want := range map[string]Date{
		"19800203": {1980, 2, 3}, "1980-02-03": {1980, 2, 3}, "19850000": {1985, 0, 0}, "00000000": {}, "19850600": {1985, 6, 0},
		"1985-06": {1985, 6, 0}, "1985": {1985, 0, 0}, "0000": {}, "20240229": {2024, 2, 29}, "20000229": {2000, 2, 29}, "1985-00-00": {1985, 0, 0},
	} {
		if got, err := ParseDate(in); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", in, got.Digits(), err, want.Digits())
		}
	}
	for _, in := range []string{"", "198", "19850230", "20230229", "19000229", "19851301", "19850132", "19850015", "00000101", "1985-6-1", "+9850101",
		"1985-02-3é", "1985/02/03", " 1985", "198502030", "-985", "１９８５", "1985-13", "1985-"} {
		if got, err := ParseDate(in); err == nil {
			t.Errorf("%q was read as %s", in, got.Digits())
		} else if in != "" && strings.Contains(err.Error(), in) {
			t.Errorf("the error repeats %q", in)
		}
	}
}

// TestBirthdays: midnight is Amsterdam's, in winter and in summer.
func TestBirthdays(t *testing.T) {
	at := func(s string) time.Time {
		m, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range []struct {
		born, now string
		want      AgeBand
	}{
		{"20100314", "2026-03-13T22:59:59Z", Age12to15}, // 23:59:59 of the day before
		{"20100314", "2026-03-13T23:00:00Z", Age16to17}, // winter time: UTC+1
		{"20100714", "2026-07-13T21:59:59Z", Age12to15},
		{"20100714", "2026-07-13T22:00:00Z", Age16to17}, // summer time: UTC+2
		{"20080329", "2026-03-28T22:59:59Z", Age16to17}, // the night in which the clock goes forward
		{"20080329", "2026-03-28T23:00:00Z", Age18Plus},
		{"20081025", "2026-10-24T22:00:00Z", Age18Plus}, // and back
		{"20080229", "2026-02-28T12:00:00Z", Age16to17}, // born on 29 February: 1 March
		{"20080229", "2026-03-01T00:00:00+01:00", Age18Plus},
		{"20120229", "2024-02-29T00:00:00+01:00", Age12to15},
		{"20100000", "2026-03-14T11:00:00Z", AgeUnknown}, // 15 or 16
		{"20090000", "2026-03-14T11:00:00Z", Age16to17},  // 16 or 17
		{"20100300", "2026-03-14T11:00:00Z", AgeUnknown},
		{"20100400", "2026-03-14T11:00:00Z", Age12to15},
		{"00000000", "2026-03-14T11:00:00Z", AgeUnknown},
		{"20270101", "2026-03-14T11:00:00Z", AgeUnknown}, // not yet born
		{"20260314", "2026-03-14T11:00:00Z", Age0to11},
		{"18900101", "2026-03-14T11:00:00Z", AgeUnknown}, // nobody lives that long
	} {
		d, err := ParseDate(c.born)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.AgeBand(at(c.now)); got != c.want {
			t.Errorf("born %s, at %s: %s, want %s", c.born, c.now, got, c.want)
		}
	}
}

// TestAgeBandOfEveryDay: an incomplete date has a band only if every day it may stand for has that one, reckoned by
// adding years to the calendar and not by the code under test.
func TestAgeBandOfEveryDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Date{Year: rapid.IntRange(1890, 2030).Draw(t, "year")}
		if d.Month = rapid.IntRange(0, 12).Draw(t, "month"); d.Month > 0 {
			d.Day = rapid.IntRange(0, 28).Draw(t, "day")
		}
		now := time.Unix(rapid.Int64Range(1_500_000_000, 2_000_000_000).Draw(t, "now"), 0)
		y, m, n := now.In(Amsterdam()).Date()
		today := time.Date(y, m, n, 0, 0, 0, 0, time.UTC)
		seen := map[AgeBand]bool{}
		for day := time.Date(d.Year, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == d.Year; day = day.AddDate(0, 0, 1) {
			if (d.Month > 0 && int(day.Month()) != d.Month) || (d.Day > 0 && day.Day() != d.Day) {
				continue
			}
			years := -1
			for !day.AddDate(years+1, 0, 0).After(today) { // AddDate makes 1 March of 29 February
				years++
			}
			seen[BandOf(years)] = true
		}
		want := AgeUnknown
		if len(seen) == 1 {
			for b := range seen {
				want = b
			}
		}
		if got := d.AgeBand(now); got != want {
			t.Errorf("%s at %s: %s, want %s", d.Digits(), now, got, want)
		}
	})
}

func TestDateText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := fmt.Sprintf("%04d%02d%02d", rapid.IntRange(0, 9999).Draw(t, "y"), rapid.IntRange(0, 13).Draw(t, "m"), rapid.IntRange(0, 32).Draw(t, "d"))
		d, err := ParseDate(s)
		if (err == nil) != d.valid() && err == nil {
			t.Errorf("%s: read and not valid", s)
		}
		if err == nil && d.Digits() != s {
			t.Errorf("%s reads back as %s", s, d.Digits())
		}
	})
}
