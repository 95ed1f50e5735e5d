package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

// registry is what all register commands share.
type registry struct {
	where
	json bool
}

func newRegister() *cobra.Command {
	r := &registry{}
	c := &cobra.Command{
		Use:   "register",
		Short: "Agencies, cases, agreements, consents: what decisions rest on",
		Long: `Changes hold at once on every gateway, and are recorded with who made them ($SCHAKEL_OPERATOR).
They work on a running server (its socket in --data), a stopped folder (--data) or --redis alike.
Where a BSN is asked for, bsn:- reads it from standard input, to keep it off the command line.`,
	}
	r.flags(c)
	c.PersistentFlags().BoolVar(&r.json, "json", false, "print JSON")
	c.AddCommand(r.agency(), r.caseCommand(), r.agreement(), r.consent(), r.emergency(), r.officer(), r.importCommand())
	return c
}

// change makes one change and says so.
func (r *registry) change(c *cobra.Command, done string, command register.Command) error {
	if err := r.where.change(c.Context(), command); err != nil {
		return err
	}
	if r.json {
		return printJSON(c.OutOrStdout(), map[string]string{"done": done})
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), done)
	return err
}

// list opens the register and prints rows, or v as JSON.
func (r *registry) list(c *cobra.Command, header string, get func(*register.Register) (v any, rows []string)) error {
	d, err := r.openDesk(c.Context(), true)
	if err != nil {
		return err
	}
	defer func() { _ = d.store.Close() }()
	v, rows := get(d.register)
	if r.json {
		return printJSON(c.OutOrStdout(), v)
	}
	t := tabwriter.NewWriter(c.OutOrStdout(), 2, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, header)
	for _, row := range rows {
		_, _ = fmt.Fprintln(t, row)
	}
	return t.Flush()
}

// known gives what is known of an agency; nothing of one that is not.
func (r *registry) known(c *cobra.Command, oin broker.OIN) (broker.Agency, error) {
	d, err := r.openDesk(c.Context(), true)
	if err != nil {
		return broker.Agency{}, err
	}
	defer func() { _ = d.store.Close() }()
	a, _ := d.register.Agency(oin)
	return a, nil
}

func replace[T any](given bool, to *T, v T) {
	if given {
		*to = v
	}
}

func (r *registry) agency() *cobra.Command {
	c := &cobra.Command{Use: "agency", Short: "Agencies, their keys and teams"}
	var a broker.Agency
	var oin, kind, key, encryption, binding string
	var mandates, roles []string
	add := &cobra.Command{Use: "add --oin OIN --name NAME --kind KIND", Short: "Add an agency, or change what is known of it", Args: cobra.NoArgs,
		Long: "Adds an agency. Of one that is known, only what is given changes; its other keys, roles and mandates stay.",
		RunE: func(c *cobra.Command, _ []string) error {
			known, err := r.known(c, broker.OIN(oin))
			if err != nil {
				return err
			}
			given := c.Flags().Changed
			known.OIN = broker.OIN(oin)
			replace(given("name"), &known.Name, a.Name)
			replace(given("kind"), &known.Kind, broker.AgencyKind(kind))
			replace(given("mandate"), &known.Mandates, convert[broker.Mandate](mandates))
			replace(given("municipality"), &known.Municipality, a.Municipality)
			replace(given("role"), &known.Roles, convert[broker.Role](roles))
			replace(given("binding"), &known.Binding, broker.Binding(strings.TrimPrefix(binding, "none")))
			if key != "" {
				k, err := readAgencyKey(key)
				if err != nil {
					return err
				}
				known.Keys = append(slices.DeleteFunc(slices.Clone(known.Keys), func(o broker.AgencyKey) bool { return o.ID == k.ID }), k)
			}
			if encryption != "" {
				if known.EncryptionKey, err = os.ReadFile(encryption); err != nil {
					return fmt.Errorf("read encryption key: %w", err)
				}
			}
			return r.change(c, "agency "+oin+" added", register.AddAgency{Agency: known})
		}}
	f := add.Flags()
	f.StringVar(&oin, "oin", "", "OIN, 20 digits")
	f.StringVar(&a.Name, "name", "", "its name")
	f.StringVar(&kind, "kind", "", "gemeente, woningcorporatie, …")
	f.StringSliceVar(&mandates, "mandate", nil, "laws it carries out: wgs, wmo, …")
	f.StringVar(&a.Municipality, "municipality", "", "CBS code of the municipality it works for")
	f.StringSliceVar(&roles, "role", nil, "roles it may assert for its workers")
	f.StringVar(&key, "public-key", "", "file with a public signing key (JWK)")
	f.StringVar(&encryption, "encryption-key", "", "file with a public encryption key (JWK): its application/jose answers are encrypted")
	f.StringVar(&binding, "binding", "none", "what its tokens must be bound to: mtls (its client certificate), dpop (a key it proves to have), none")

	team := &cobra.Command{Use: "team OIN NAME [WORKER …]", Short: "Say who is in a team from now on; no workers ends it", Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return r.change(c, "team "+args[1]+" set", register.SetTeam{Team: register.Team{Agency: broker.OIN(args[0]), Team: args[1]},
				Workers: convert[broker.WorkerID](args[2:])})
		}}
	addKey := &cobra.Command{Use: "add-key OIN FILE", Short: "Add a public signing key (JWK)", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := readAgencyKey(args[1])
			if err != nil {
				return err
			}
			return r.change(c, "key "+k.ID+" added", register.AddKey{OIN: broker.OIN(args[0]), Key: k})
		}}
	suspendKey := &cobra.Command{Use: "suspend-key OIN KID", Short: "Make a key worthless, for ever", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return r.change(c, "key "+args[1]+" suspended", register.SuspendKey{OIN: broker.OIN(args[0]), ID: args[1]})
		}}
	suspend := &cobra.Command{Use: "suspend OIN", Short: "Refuse everything of an agency until it is resumed", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.change(c, "agency "+args[0]+" suspended", register.SuspendAgency{OIN: broker.OIN(args[0])})
		}}
	resume := &cobra.Command{Use: "resume OIN", Short: "End a suspension", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.change(c, "agency "+args[0]+" resumed", register.ResumeAgency{OIN: broker.OIN(args[0])})
		}}
	list := &cobra.Command{Use: "list", Short: "All agencies", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return r.list(c, "oin\tkind\tname\tmandates\tkeys\tstate", func(g *register.Register) (any, []string) {
			var rows []string
			for _, a := range g.Agencies() {
				state := "good"
				if a.Suspended {
					state = "suspended"
				}
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%s", a.OIN, a.Kind, a.Name, join(a.Mandates), len(a.Keys), state))
			}
			return g.Agencies(), rows
		})
	}}
	c.AddCommand(add, addKey, suspendKey, suspend, resume, team, list)
	return c
}

func (r *registry) caseCommand() *cobra.Command {
	c := &cobra.Command{Use: "case", Short: "Cases, early signals and claims"}
	var file, id, agency, worker, team string
	var coordinator bool
	add := &cobra.Command{Use: "add --file FILE", Short: "Open a case, signal or claim", Args: cobra.NoArgs,
		Long: `Opens a case from a JSON file (- for standard input), so that no person stands on the command line:
  {"id":"zaak-1","kind":"case|signal|claim","agency":"OIN","municipality":"0599",
   "persons":[{"bsn":"…","birth":"19850423"}],             the reference person first
   "holders":[{"oin":"OIN","persons":["bsn"]}],            without persons: all of them
   "workers":[{"agency":"OIN","worker":"w-1"}],"teams":[{"agency":"OIN","team":"noord"}],
   "coordinator":{"agency":"OIN","worker":"w-2"}}`,
		RunE: func(c *cobra.Command, _ []string) error {
			var k register.Case
			if err := readStrict(c, file, &k); err != nil {
				return fmt.Errorf("read case: %w", err)
			}
			return r.change(c, "case "+string(k.ID)+" opened", register.OpenCase{Case: k})
		}}
	add.Flags().StringVar(&file, "file", "-", "JSON file, - for standard input")
	assignment := func(use, short, done string, make func() register.Command) *cobra.Command {
		cmd := &cobra.Command{Use: use + " --case ID --agency OIN --worker ID|--team NAME", Short: short, Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return r.change(c, "case "+id+" "+done, make()) }}
		f := cmd.Flags()
		f.StringVar(&id, "case", "", "the case")
		f.StringVar(&agency, "agency", "", "OIN of the agency")
		f.StringVar(&worker, "worker", "", "the worker")
		f.StringVar(&team, "team", "", "or the team")
		return cmd
	}
	assign := assignment("assign", "Assign a worker or team", "assigned", func() register.Command {
		return register.Assign{Case: broker.CaseID(id), Agency: broker.OIN(agency), Worker: broker.WorkerID(worker), Team: team, Coordinator: coordinator}
	})
	assign.Flags().BoolVar(&coordinator, "coordinator", false, "the worker becomes the casusregisseur")
	unassign := assignment("unassign", "End an assignment", "unassigned", func() register.Command {
		return register.Unassign{Case: broker.CaseID(id), Agency: broker.OIN(agency), Worker: broker.WorkerID(worker), Team: team}
	})
	closeCase := &cobra.Command{Use: "close ID", Short: "Close a case: it binds nobody to anybody any more", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.change(c, "case "+args[0]+" closed", register.CloseCase{Case: broker.CaseID(args[0])})
		}}
	list := &cobra.Command{Use: "list", Short: "All cases, without who is in them", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return r.list(c, "case\tkind\tagency\tpersons\tworkers\tstate", func(g *register.Register) (any, []string) {
			var rows []string
			for _, k := range g.Cases() {
				state := "open"
				if k.Closed {
					state = "closed"
				}
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%s", k.ID, k.Kind, k.Agency, k.Persons, len(k.Workers), state))
			}
			return g.Cases(), rows
		})
	}}
	c.AddCommand(add, assign, unassign, closeCase, list)
	return c
}

func (r *registry) emergency() *cobra.Command {
	c := &cobra.Command{Use: "emergency", Short: "Acute danger in a household"}
	var e register.DeclareEmergency
	var id string
	var domains []string
	var hours time.Duration
	declare := &cobra.Command{Use: "declare --case ID --domains ggz,jeugd --for 24h --ground TEXT", Short: "Declare it, with the balance that was made", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			e.Case, e.Domains, e.Until = broker.CaseID(id), convert[broker.Domain](domains), time.Now().Add(hours)
			return r.change(c, "emergency declared in case "+id, e)
		}}
	f := declare.Flags()
	f.StringVar(&id, "case", "", "the case")
	f.StringSliceVar(&domains, "domains", nil, "domains whose holders agreed to share")
	f.DurationVar(&hours, "for", 24*time.Hour, "it ends by itself after this")
	f.StringVar(&e.Ground, "ground", "", "the written balance; name no persons")
	end := &cobra.Command{Use: "end ID", Short: "End it before its time", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.change(c, "emergency ended in case "+args[0], register.EndEmergency{Case: broker.CaseID(args[0])})
		}}
	c.AddCommand(declare, end)
	return c
}

// readAgencyKey reads a public JWK and its kid.
func readAgencyKey(path string) (broker.AgencyKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return broker.AgencyKey{}, fmt.Errorf("read public key: %w", err)
	}
	var head struct {
		ID string `json:"kid"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.ID == "" {
		return broker.AgencyKey{}, errors.New("read public key: it must be a JWK with a kid")
	}
	return broker.AgencyKey{ID: head.ID, JWK: data}, nil
}

// readStrict reads JSON from a file or standard input; an unknown key is an error.
func readStrict(c *cobra.Command, file string, v any) error {
	in := c.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("it is empty; --help shows what belongs in it")
		}
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after it; give one at a time")
	}
	return nil
}

func convert[T ~string](in []string) []T {
	out := make([]T, 0, len(in))
	for _, s := range in {
		out = append(out, T(s))
	}
	return out
}

func join[T ~string](in []T) string {
	parts := make([]string, 0, len(in))
	for _, v := range in {
		parts = append(parts, string(v))
	}
	return strings.Join(parts, ",")
}
