package console

import (
	"bytes"
	"fmt"
	"html/template"

	"github.com/schakel/schakel/broker/audit"
)

// printedView is what the template of a page on paper sees.
type printedView struct {
	*call
	Title string
	Style template.CSS
	Data  any
}

// Printed gives a report as one web page to print, with everything in it: for a resident who comes to the counter.
func Printed(r audit.SubjectReport, english bool) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("print report: %w", err) }
	t, err := template.New("print.html").ParseFS(web, "web/resident/print.html", "web/parts.html", "web/resident/pages/report.html")
	if err != nil {
		return fail(err)
	}
	c := &call{lang: "nl"}
	if english {
		c.lang = "en"
	}
	v := printedView{call: c}
	for _, name := range []string{"console.css", "resident.css"} {
		style, err := web.ReadFile("web/assets/" + name)
		if err != nil {
			return fail(err)
		}
		v.Style += template.CSS(style)
	}
	report := shown(c, Report{Dutch: r, English: r})
	report.HasProof = r.ProvedUntil != nil
	v.Title, v.Data = report.title(c), report
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return fail(err)
	}
	return b.Bytes(), nil
}
