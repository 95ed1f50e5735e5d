package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/register"
)

// counter is what the commands about residents share: an officer at a counter, or one who answers.
type counter struct {
	registry
	by officerKey
}

func newResident() *cobra.Command {
	r := &counter{}
	c := &cobra.Command{
		Use:   "resident",
		Short: "Residents: their report on paper, what they ask, and who represents whom",
		Long: `For residents who can't sign in at their own site, and for the officers who answer them: a functionaris-gegevensbescherming or
privacy-officer, who shows with their own key that they are. BSNs are read from standard input, one a line, and never stand on
a command line; texts are read from a file.`,
	}
	r.flags(c)
	c.PersistentFlags().BoolVar(&r.json, "json", false, "print JSON")
	c.PersistentFlags().StringVar(&r.by.id, "officer", "", "your id as an officer")
	c.PersistentFlags().StringVar(&r.by.file, "key", "", "file with your private key (JWK); default: officers/ID.jwk in the data folder, as in the demo")
	c.AddCommand(r.report(), r.request(), r.represent())
	return c
}

// act makes changes in the name of an officer who showed their key.
func (r *counter) act(c *cobra.Command, done string, make func(*desk, register.OfficerRef) ([]register.Command, error)) error {
	err := r.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
		officer, err := r.officer(d)
		if err != nil {
			return err
		}
		commands, err := make(d, officer)
		if err != nil {
			return err
		}
		return d.register.DoAll(c.Context(), appender(writer), register.Operator{Name: r.by.id}, commands)
	})
	if err != nil {
		return err
	}
	if r.json {
		return printJSON(c.OutOrStdout(), map[string]string{"done": done})
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), done)
	return err
}

// officer makes sure that who acts is an officer, by their own key. What their role may do, the register says.
func (r *counter) officer(d *desk) (register.OfficerRef, error) {
	signer, err := r.by.signer(r.data)
	if err != nil {
		return "", err
	}
	return d.register.OfficerRef(register.OfficerID(r.by.id)), d.identify(r.by.id, signer)
}

// readBSNs reads so many BSNs from standard input, one a line.
func readBSNs(c *cobra.Command, names ...string) ([]broker.BSN, error) {
	data, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 1<<12))
	if err != nil {
		return nil, err
	}
	lines := strings.Fields(string(data))
	if len(lines) != len(names) {
		return nil, &exitError{exitUsage, fmt.Errorf("standard input holds one BSN a line: %s", strings.Join(names, ", then "))}
	}
	out := make([]broker.BSN, len(lines))
	for i, line := range lines {
		if out[i], err = broker.ParseBSN(line); err != nil {
			return nil, &exitError{exitUsage, fmt.Errorf("%s: %w", names[i], err)}
		}
	}
	return out, nil
}

// readText reads what somebody wrote from a file: it may be about a person, so it does not stand on a command line.
func readText(file, what string) (string, error) {
	if file == "" {
		return "", &exitError{exitUsage, fmt.Errorf("put %s in a file, and name it with --text", what)}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	return strings.TrimSpace(string(data)), nil
}

func (r *counter) report() *cobra.Command {
	var look lookOver
	var identified, out, proof string
	var english bool
	var m merkle
	c := &cobra.Command{
		Use:   "report --officer ID --ground TEXT --identified DOCUMENT --out FILE < BSN",
		Short: "Make a resident's report to print at the counter, as their own page has it",
		Long: `Reads a BSN from standard input and writes the report as one web page, to print: the same as the resident's own page, for who
does not sign in. The officer saw who it is, by which document (--identified: a kind of document, no number), and that they look
is recorded first. --proof writes the file beside it by which its bearer can see that nothing was left out.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			look.by, look.purpose = r.by, string(purposeInspect)
			if len(identified) < 3 || out == "" {
				return &exitError{exitUsage, errors.New("by which document did you see who it is? Name its kind with --identified, such as paspoort; and the file to write with --out")}
			}
			look.ground += "; identiteit gezien: " + identified
			bsns, err := readBSNs(c, "of whom the report is")
			if err != nil {
				return err
			}
			page, err := r.printed(c.Context(), look, bsns[0], m, proof, english)
			if err != nil {
				return err
			}
			if err := writeNew(out, page); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "overzicht in %s\n", out)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&look.ground, "ground", "", "on which ground: the law, and your file's reference; it is recorded, encrypted")
	f.StringVar(&identified, "identified", "", "by which kind of document you saw who it is: paspoort, rijbewijs, identiteitskaart")
	f.StringVar(&out, "out", "", "write the page to this new file, which only you can read")
	f.StringVar(&proof, "proof", "", "write to this new file the proof that nothing was left out")
	f.BoolVar(&english, "english", false, "in English")
	m.flags(c)
	return c
}

// printed makes the page of a report, after it was recorded that an officer looks.
func (r *counter) printed(ctx context.Context, look lookOver, bsn broker.BSN, m merkle, proof string, english bool) (page []byte, err error) {
	err = r.write(ctx, adminWriter, func(d *desk, writer *audit.Writer) error {
		if err := look.record(ctx, d, writer, r.data, audit.Viewed{How: "resident report"}, "data subject "+d.ring.Pseudonym(bsn)); err != nil {
			return err
		}
		found, err := d.subjectEvents(ctx, bsn, audit.MentionsConfig{})
		if err != nil {
			return err
		}
		words := d.words(ctx, d.catalogs(ctx))
		words.English = english
		report := found.report(words, time.Now())
		if proof != "" {
			proved, err := r.proveComplete(ctx, d, m, bsn, found.mentions, proof)
			if err != nil {
				return err
			}
			report.ProvedUntil = &proved.Until
		}
		page, err = console.Printed(report, english)
		return err
	})
	return page, err
}

func (r *counter) request() *cobra.Command {
	c := &cobra.Command{Use: "request", Short: "What residents ask (AVG 16, 18, 21) and complain of, and the answers"}
	c.AddCommand(r.makeRequest(), r.listRequests(), r.showRequest(), r.extendRequest(), r.answerRequest(),
		r.restriction("restrict", "Give nothing of this person any more, from the next answer on (AVG 18)", "nothing of the person of request %s is given any more", (*register.Register).Restrict),
		r.restriction("lift", "End that; tell the person first (AVG 18(3))", "the restriction on the person of request %s is lifted", (*register.Register).Lift))
	return c
}

func (r *counter) makeRequest() *cobra.Command {
	var kind, text, event string
	var represented bool
	c := &cobra.Command{
		Use:   "make --officer ID --kind KIND --text FILE < BSN",
		Short: "Take down what somebody asks at the counter, after you saw who it is",
		Long: `Kinds: correction (AVG 16), restriction (AVG 18), objection (AVG 21), complaint. Standard input holds the BSN of whom it is
about; with --represented a second line holds that of their representative, who asks.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			names := []string{"of whom it is about"}
			if represented {
				names = append(names, "of who asks")
			}
			bsns, err := readBSNs(c, names...)
			if err != nil {
				return err
			}
			words, err := readText(text, "what is asked")
			if err != nil {
				return err
			}
			q := register.ResidentRequest{ID: register.ResidentNumber(), About: bsns[0], Kind: register.RequestKind(kind), Event: event, Text: words}
			if represented {
				q.By = bsns[1]
			}
			return r.act(c, "request "+q.ID+" made", func(_ *desk, officer register.OfficerRef) ([]register.Command, error) {
				q.TakenBy = officer
				return []register.Command{register.MakeRequest{ResidentRequest: q}}, nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&kind, "kind", "", "correction, restriction, objection or complaint")
	f.StringVar(&text, "text", "", "file with what is asked, in the resident's words")
	f.StringVar(&event, "event", "", "the number of the disclosure that it is about, as the report has it")
	f.BoolVar(&represented, "represented", false, "a representative asks: standard input has a second line with their BSN")
	return c
}

func (r *counter) listRequests() *cobra.Command {
	var open bool
	c := &cobra.Command{Use: "list", Short: "All requests: numbers and terms, not who asked or what", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return r.list(c, "number\tkind\tmade\tdue\tstate", func(g *register.Register) (any, []string) {
				out := []requestLine{}
				var rows []string
				for _, q := range g.Requests() {
					l := lineOf(q, time.Now())
					if open && q.Answer != nil {
						continue
					}
					out = append(out, l)
					rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", l.ID, l.Kind, l.Made.Format(time.DateOnly), l.Due, l.State))
				}
				return out, rows
			})
		}}
	c.Flags().BoolVar(&open, "open", false, "only those that wait for an answer")
	return c
}

// requestLine is a request in a list.
type requestLine struct {
	ID    string               `json:"id"`
	Kind  register.RequestKind `json:"kind"`
	Made  time.Time            `json:"made"`
	Due   string               `json:"due"`
	State string               `json:"state"` // open, late, or the outcome
}

func lineOf(q register.RequestState, now time.Time) requestLine {
	due := q.Due()
	l := requestLine{ID: q.ID, Kind: q.Kind, Made: q.Made, Due: fmt.Sprintf("%04d-%02d-%02d", due.Year, due.Month, due.Day), State: "open"}
	switch {
	case q.Answer != nil:
		l.State = string(q.Answer.Outcome)
	case l.Due < now.In(broker.Amsterdam()).Format(time.DateOnly):
		l.State = "late"
	}
	return l
}

// shownRequest is a request as an officer reads it.
type shownRequest struct {
	requestLine
	About      string                  `json:"about"` // BSN
	By         string                  `json:"by,omitempty"`
	Event      string                  `json:"event,omitempty"`
	Text       string                  `json:"text"`
	Extended   string                  `json:"extended,omitempty"`
	Answer     *register.RequestAnswer `json:"answer,omitempty"`
	Restricted bool                    `json:"restricted"` // nothing of the person is given now
}

func (r *counter) showRequest() *cobra.Command {
	var look lookOver
	c := &cobra.Command{Use: "show NUMBER --officer ID --ground TEXT", Short: "Read one request, with who asked; that you do is recorded first", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			look.by, look.purpose = r.by, string(purposeInspect)
			var s shownRequest
			err := r.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
				q, known := d.register.Request(args[0])
				if !known {
					return errNoRequest
				}
				if err := look.record(c.Context(), d, writer, r.data, audit.Viewed{How: "resident request show"}, "request "+q.ID); err != nil {
					return err
				}
				s = shownRequest{lineOf(q, time.Now()), q.About.Reveal(), q.By.Reveal(), q.Event, q.Text, q.Extended, q.Answer, d.register.Restricted(q.About)}
				return nil
			})
			if err != nil {
				return err
			}
			if r.json {
				return printJSON(c.OutOrStdout(), s)
			}
			return s.say(c.OutOrStdout())
		}}
	c.Flags().StringVar(&look.ground, "ground", "", "on which ground: the law, and your file's reference; it is recorded, encrypted")
	return c
}

var errNoRequest = errors.New("there is no request with this number; `schakel resident request list` shows them")

func (s shownRequest) say(out io.Writer) error {
	var b bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, value)
		}
	}
	line("number", s.ID)
	line("kind", string(s.Kind))
	line("about", s.About)
	line("asked by", s.By)
	line("made", s.Made.Format(time.DateOnly))
	line("due", s.Due)
	line("state", s.State)
	line("event", s.Event)
	if s.Restricted {
		line("now", "nothing of this person is given")
	}
	fmt.Fprintf(&b, "\n%s\n", s.Text)
	if s.Extended != "" {
		fmt.Fprintf(&b, "\nit takes longer: %s\n", s.Extended)
	}
	if s.Answer != nil {
		fmt.Fprintf(&b, "\nanswer of %s:\n%s\n", s.Answer.When.Format(time.DateOnly), s.Answer.Text)
	}
	_, err := out.Write(b.Bytes())
	return err
}

// onRequest is a command that does something with one request.
func (r *counter) onRequest(c *cobra.Command, id, done string, make func(*desk, register.RequestState, register.OfficerRef) (register.Command, error)) error {
	return r.act(c, done, func(d *desk, officer register.OfficerRef) ([]register.Command, error) {
		q, known := d.register.Request(id)
		if !known {
			return nil, errNoRequest
		}
		command, err := make(d, q, officer)
		return []register.Command{command}, err
	})
}

func (r *counter) extendRequest() *cobra.Command {
	var text string
	c := &cobra.Command{Use: "extend NUMBER --officer ID --text FILE", Short: "Take two months more, and tell the resident why (AVG 12(3))", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			why, err := readText(text, "why it takes longer")
			if err != nil {
				return err
			}
			return r.onRequest(c, args[0], "request "+args[0]+" extended", func(_ *desk, q register.RequestState, officer register.OfficerRef) (register.Command, error) {
				return register.ExtendRequest{ID: q.ID, About: q.About, Officer: officer, Why: why}, nil
			})
		}}
	c.Flags().StringVar(&text, "text", "", "file with why, for the resident to read")
	return c
}

func (r *counter) answerRequest() *cobra.Command {
	var text, outcome string
	c := &cobra.Command{Use: "answer NUMBER --officer ID --outcome OUTCOME --text FILE", Short: "Answer a request; the resident reads it on their page", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			words, err := readText(text, "the answer")
			if err != nil {
				return err
			}
			return r.onRequest(c, args[0], "request "+args[0]+" answered", func(_ *desk, q register.RequestState, officer register.OfficerRef) (register.Command, error) {
				return register.AnswerRequest{ID: q.ID, About: q.About, Officer: officer, Outcome: register.Outcome(outcome), Text: words}, nil
			})
		}}
	c.Flags().StringVar(&outcome, "outcome", "", "granted, partly or refused")
	c.Flags().StringVar(&text, "text", "", "file with the answer, in plain words")
	return c
}

func (r *counter) restriction(use, short, done string, make func(*register.Register, register.RequestState, register.OfficerRef) register.Command) *cobra.Command {
	return &cobra.Command{Use: use + " NUMBER --officer ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.onRequest(c, args[0], fmt.Sprintf(done, args[0]), func(d *desk, q register.RequestState, officer register.OfficerRef) (register.Command, error) {
				return make(d.register, q, officer), nil
			})
		}}
}

func (r *counter) represent() *cobra.Command {
	c := &cobra.Command{Use: "represent", Short: "Who acts for a child, for a ward, or by procuration"}
	var p register.Representation
	var kind, birth, from, until string
	add := &cobra.Command{
		Use:   "add --officer ID --kind KIND --name NAME --until DATE --proof TEXT < BSNS",
		Short: "Record that somebody acts for another, after you saw proof",
		Long: `Standard input holds the BSN of the person, and on a second line that of their representative. Kinds: gezag (of a child until
sixteen, with --birth), curatele, bewind, mentorschap, machtiging. Dates are written as 2026-11-30, both included.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			bsns, err := readBSNs(c, "of the person", "of their representative")
			if err != nil {
				return err
			}
			p.ID, p.About, p.By, p.Kind = register.ResidentNumber(), bsns[0], bsns[1], register.RepresentationKind(kind)
			if from == "" {
				from = time.Now().In(broker.Amsterdam()).Format(time.DateOnly)
			}
			for _, day := range []struct {
				text string
				to   *broker.Date
			}{{from, &p.From}, {until, &p.Until}, {birth, &p.Birth}} {
				if day.text == "" {
					continue
				}
				if *day.to, err = broker.ParseDate(strings.ReplaceAll(day.text, "-", "")); err != nil {
					return &exitError{exitUsage, errors.New("a date is written as 2026-11-30")}
				}
			}
			return r.act(c, "representation "+p.ID+" added", func(_ *desk, officer register.OfficerRef) ([]register.Command, error) {
				p.Officer = officer
				return []register.Command{register.AddRepresentation{Representation: p}}, nil
			})
		},
	}
	f := add.Flags()
	f.StringVar(&kind, "kind", "", "gezag, curatele, bewind, mentorschap or machtiging")
	f.StringVar(&p.Name, "name", "", "by which the representative knows the person: a given name")
	f.StringVar(&birth, "birth", "", "date of birth of the child, for gezag")
	f.StringVar(&from, "from", "", "first day; default: today")
	f.StringVar(&until, "until", "", "last day")
	f.StringVar(&p.Proof, "proof", "", "which document you saw: uittreksel gezagsregister, beschikking of a court with its date")
	end := &cobra.Command{Use: "end NUMBER --officer ID", Short: "End one before its time, at once", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.act(c, "representation "+args[0]+" ended", func(d *desk, officer register.OfficerRef) ([]register.Command, error) {
				for _, p := range d.register.Representations() {
					if p.ID == args[0] {
						return []register.Command{register.EndRepresentation{ID: p.ID, About: p.About, Officer: officer}}, nil
					}
				}
				return nil, errors.New("there is no representation with this number; `schakel resident represent list` shows them")
			})
		}}
	list := &cobra.Command{Use: "list", Short: "All representations: numbers, kinds and terms, not who", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return r.list(c, "number\tkind\tfrom\tuntil", func(g *register.Register) (any, []string) {
				type line struct {
					ID    string                      `json:"id"`
					Kind  register.RepresentationKind `json:"kind"`
					From  broker.Date                 `json:"from"`
					Until broker.Date                 `json:"until"`
				}
				out := []line{}
				var rows []string
				for _, p := range g.Representations() {
					out = append(out, line{p.ID, p.Kind, p.From, p.Until})
					rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", p.ID, p.Kind, p.From.Digits(), p.Until.Digits()))
				}
				return out, rows
			})
		}}
	c.AddCommand(add, end, list)
	return c
}
