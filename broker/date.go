package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"
	_ "time/tzdata" // birthdays are reckoned in Europe/Amsterdam, on machines without a zone file too
)

// Date is a day as the BRP knows it: parts that are unknown are 0 (LO3 writes 19850000 and 00000000).
type Date struct{ Year, Month, Day int }

// ParseDate reads YYYYMMDD (LO3, unknown parts 0) and YYYY-MM-DD, YYYY-MM, YYYY. Its error never repeats the input.
func ParseDate(s string) (Date, error) {
	bad := errors.New("a date is YYYYMMDD with 0 for unknown parts, or YYYY-MM-DD")
	parts := [3]string{}
	switch {
	case len(s) == 8 && digits(s):
		parts = [3]string{s[:4], s[4:6], s[6:]}
	case len(s) == 10 && s[4] == '-' && s[7] == '-':
		parts = [3]string{s[:4], s[5:7], s[8:]}
	case len(s) == 7 && s[4] == '-':
		parts = [3]string{s[:4], s[5:], "00"}
	case len(s) == 4:
		parts = [3]string{s, "00", "00"}
	default:
		return Date{}, bad
	}
	n := [3]int{}
	for i, p := range parts {
		if !digits(p) {
			return Date{}, bad
		}
		n[i], _ = strconv.Atoi(p)
	}
	d := Date{n[0], n[1], n[2]}
	if !d.valid() {
		return Date{}, bad
	}
	return d, nil
}

// valid: a day that exists, with a year wherever there is a month and a month wherever there is a day.
func (d Date) valid() bool {
	switch {
	case d.Year < 0 || d.Year > 9999 || d.Month < 0 || d.Month > 12 || d.Day < 0 || d.Day > 31:
		return false
	case d.Year == 0 && d.Month != 0, d.Month == 0 && d.Day != 0:
		return false
	}
	return d.Day == 0 || time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, time.UTC).Day() == d.Day
}

// Known tells whether at least the year is known.
func (d Date) Known() bool { return d.Year != 0 }

// Digits gives YYYYMMDD, unknown parts 0.
func (d Date) Digits() string { return fmt.Sprintf("%04d%02d%02d", d.Year, d.Month, d.Day) }

// MarshalText implements encoding.TextMarshaler (Digits).
func (d Date) MarshalText() ([]byte, error) { return []byte(d.Digits()), nil }

// UnmarshalText implements encoding.TextUnmarshaler (ParseDate).
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := ParseDate(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}

// LogValue implements slog.LogValuer: a log handler would take the text of MarshalText.
func (Date) LogValue() slog.Value { return slog.StringValue("••••-••-••") }

// Format implements fmt.Formatter: a birth date is a value about a person and prints as dots.
func (Date) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("••••-••-••")) }

// AgeBand is an age as policy sees it.
type AgeBand string

// Closed list of AgeBand. Unknown is treated as the strictest.
const (
	Age0to11    AgeBand = "0-11"
	Age12to15   AgeBand = "12-15"
	Age16to17   AgeBand = "16-17"
	Age18Plus   AgeBand = "18+"
	AgeUnknown  AgeBand = "unknown"
	maxLifespan         = 130
)

// BandOf gives the band of an age in whole years.
func BandOf(years int) AgeBand {
	switch {
	case years < 0 || years > maxLifespan:
		return AgeUnknown
	case years < 12:
		return Age0to11
	case years < 16:
		return Age12to15
	case years < 18:
		return Age16to17
	}
	return Age18Plus
}

// AgeBand gives the band of someone born on d at moment now, by the calendar in Amsterdam. Where an incomplete date
// leaves two bands open the answer is AgeUnknown.
func (d Date) AgeBand(now time.Time) AgeBand {
	if !d.Known() {
		return AgeUnknown
	}
	first, last := d, d
	if d.Month == 0 {
		first.Month, last.Month = 1, 12
	}
	if d.Day == 0 {
		first.Day, last.Day = 1, 31
	}
	oldest, youngest := BandOf(first.years(now)), BandOf(last.years(now))
	if oldest != youngest {
		return AgeUnknown
	}
	return oldest
}

// years counts birthdays passed at now, in Amsterdam. Born on 29 February: 1 March in other years (BW 1:2 reckons by
// the passing of the day).
func (d Date) years(now time.Time) int {
	t := now.In(amsterdam)
	n := t.Year() - d.Year
	if int(t.Month()) < d.Month || (int(t.Month()) == d.Month && t.Day() < d.Day) {
		n--
	}
	return n
}

// Amsterdam is the zone in which birthdays, working days and terms are reckoned.
func Amsterdam() *time.Location { return amsterdam }

var amsterdam = func() *time.Location {
	l, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		panic(err) // time/tzdata is linked in
	}
	return l
}()
