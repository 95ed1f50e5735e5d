package register

import "time"

// holiday tells whether a day is one on which no term ends: a generally recognised holiday or Good Friday (Algemene termijnenwet,
// article 3). The King's birthday is kept on the day before where it falls on a Sunday.
func holiday(day time.Time) bool {
	switch month, d := day.Month(), day.Day(); {
	case month == time.January && d == 1, month == time.May && d == 5, month == time.December && (d == 25 || d == 26):
		return true
	case month == time.April && d == 27 && day.Weekday() != time.Sunday, month == time.April && d == 26 && day.Weekday() == time.Saturday:
		return true
	}
	month, d := easter(day.Year())
	for _, after := range []int{-2, 1, 39, 50} { // Good Friday, Easter Monday, Ascension Day, Whit Monday
		at := time.Date(day.Year(), month, d+after, 12, 0, 0, 0, time.UTC)
		if at.Month() == day.Month() && at.Day() == day.Day() {
			return true
		}
	}
	return false
}

// easter gives Easter Sunday of a year of the Gregorian calendar (the computus of Meeus, Jones and Butcher).
func easter(year int) (time.Month, int) {
	a, b, c := year%19, year/100, year%100
	d, e, f := b/4, b%4, (b+8)/25
	h := (19*a + b - d - (b-f+1)/3 + 15) % 30
	l := (32 + 2*e + 2*(c/4) - h - c%4) % 7
	n := h + l - 7*((a+11*h+22*l)/451) + 114
	return time.Month(n / 31), n%31 + 1
}
