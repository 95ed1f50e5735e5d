package main

import (
	"fmt"
	"strings"
)

// plot draws requests a second of each column as bars.
func (f *figures) plot() []byte {
	const left, bar, gap, width = 150, 26, 12, 760
	top := 0.0
	for _, c := range f.Columns {
		top = max(top, c.RPS)
	}
	var b strings.Builder
	height := 60 + len(f.Columns)*(bar+gap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="t" font-family="system-ui, sans-serif" font-size="14">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<title id="t">Requests a second at %d connections</title>`+"\n", f.Connections)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="%d" y="26" fill="#1a1a1a" font-weight="600">Requests a second, %d connections, %d cores, %s</text>`+"\n", left, f.Connections, f.Cores, f.Date)
	for i, c := range f.Columns {
		y := 44 + i*(bar+gap)
		length := c.RPS / max(1, top) * (width - left - 110)
		colour := "#154273"
		if c.Name == "opa" || c.Name == "assembly" {
			colour = "#8a6d00"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#1a1a1a">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" fill="#1a1a1a">%.0f</text>`+"\n",
			left-10, y+18, c.Name, left, y, length, bar, colour, left+length+8, y+18, c.RPS)
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}
