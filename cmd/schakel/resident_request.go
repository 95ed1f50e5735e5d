package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/register"
)

func (r *counter) request() *cobra.Command {
	c := &cobra.Command{Use: "request", Short: "What residents ask (AVG 16, 18, 21) and complain of, and the answers"}
	c.AddCommand(r.makeRequest(), r.listRequests(), r.showRequest(), r.requestRecipients(), r.extendRequest(), r.answerRequest(),
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

func (r *counter) requestRecipients() *cobra.Command {
	var look lookOver
	var m merkle
	c := &cobra.Command{Use: "recipients NUMBER --officer ID --ground TEXT", Short: "Who got data of this person, and must be told of a correction, restriction or erasure (AVG 19)", Args: cobra.ExactArgs(1),
		Long: "Whom the law permits not to name (AVG 23) does not stand here; the functionaris-gegevensbescherming, who can find them, tells them.",
		RunE: func(c *cobra.Command, args []string) error {
			look.by, look.purpose = r.by, string(purposeInspect)
			var list []console.Recipient
			err := r.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
				q, known := d.register.Request(args[0])
				if !known {
					return errNoRequest
				}
				sought := "data subject " + d.ring.Pseudonym(q.About) + ", of request " + q.ID
				err := look.record(c.Context(), d, writer, r.data, audit.Viewed{How: "resident request recipients"}, sought)
				if err != nil {
					return err
				}
				at, _ := r.indexed(c.Context(), d, m) // without one the whole log is read
				list, err = d.recipients(c.Context(), q.About, at)
				return err
			})
			if err != nil {
				return err
			}
			if r.json {
				return printJSON(c.OutOrStdout(), list)
			}
			for _, l := range list {
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%s\t%d\t%s\t%s\n", l.Name, l.Times, l.Last.Format(time.DateOnly), strings.Join(l.Data, "; ")); err != nil {
					return err
				}
			}
			return nil
		}}
	c.Flags().StringVar(&look.ground, "ground", "", "on which ground: the law, and your file's reference; it is recorded, encrypted")
	m.flags(c)
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
