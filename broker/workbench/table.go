package workbench

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// Table is the policy as a table, found by asking it: every role, with every purpose, about every field.
type Table struct {
	Revision broker.Revision `json:"revision"`
	Rows     []Row           `json:"rows"`
	Catalog  *broker.Catalog `json:"-"`
}

// Row is one role and purpose for which something is given when every condition holds.
type Row struct {
	Role     broker.Role         `json:"role"`
	Purpose  broker.Purpose      `json:"purpose"`
	Kinds    []broker.AgencyKind `json:"kinds"`    // kinds of agency that get something
	Mandates []broker.Mandate    `json:"mandates"` // each of which is enough; none where no mandate is needed
	Relation []string            `json:"relation"` // each of which is enough
	Cells    []Cell              `json:"cells"`
	// Emergency lists what a declared acute danger adds, without consent or release, where the holder agrees to share.
	Emergency []Given `json:"emergency"`
}

// Cell is what a row gives of one domain.
type Cell struct {
	Domain broker.Domain  `json:"domain"`
	Letter string         `json:"letter"` // e, v, c; with T where it needs consent or release
	Fields []Given        `json:"fields"`
	Of     int            `json:"of"` // fields the domain has
	Bases  []broker.Basis `json:"bases"`
}

// Given is one field of a cell.
type Given struct {
	Field broker.Field `json:"field"`
	Form  broker.Form  `json:"form"`
	Needs string       `json:"needs,omitempty"` // consent or release
}

// Tabulate loads the policy and asks it everything.
func Tabulate(ctx context.Context, files map[string][]byte) (Table, error) {
	revision := policies.Revision(files)
	d := decide.New(decide.Config{})
	if err := d.Load(ctx, revision, files); err != nil {
		return Table{}, fmt.Errorf("tabulate policy: %w", err)
	}
	catalog, err := d.Catalog(revision)
	if err != nil {
		return Table{}, fmt.Errorf("tabulate policy: %w", err)
	}
	asker := &asker{ctx: ctx, decider: d, revision: revision, catalog: catalog, kinds: roleKinds(files, catalog)}
	table := Table{Revision: revision, Rows: []Row{}, Catalog: catalog}
	n := len(catalog.Purposes)
	rows := make([]*Row, len(catalog.Roles)*n)
	errs := make([]error, len(rows))
	parallel(ctx, len(rows), func(i int) {
		rows[i], errs[i] = asker.row(broker.Role(catalog.Roles[i/n].ID), broker.Purpose(catalog.Purposes[i%n].ID))
	})
	for i, r := range rows {
		if errs[i] != nil {
			return Table{}, fmt.Errorf("tabulate policy: %w", errs[i])
		}
		if r != nil {
			table.Rows = append(table.Rows, *r)
		}
	}
	return table, ctx.Err()
}

// asker asks a policy what it gives.
type asker struct {
	ctx      context.Context
	decider  *decide.Decider
	revision broker.Revision
	catalog  *broker.Catalog
	kinds    map[broker.Role][]broker.AgencyKind // to ask as
}

// roleKinds gives the kinds of agency to ask as in each role: those its settings name, otherwise the first of all.
func roleKinds(files map[string][]byte, c *broker.Catalog) map[broker.Role][]broker.AgencyKind {
	var settings struct {
		Roles map[broker.Role]struct {
			Kinds []broker.AgencyKind `json:"kinds"`
		} `json:"roles"`
	}
	_ = json.Unmarshal(files[settingsFile], &settings) // Load read it before; what it does not name has no kinds
	out := map[broker.Role][]broker.AgencyKind{}
	for _, r := range c.Roles {
		role := broker.Role(r.ID)
		out[role] = settings.Roles[role].Kinds
		if len(out[role]) == 0 {
			out[role] = []broker.AgencyKind{c.AgencyKinds[0].ID}
		}
	}
	return out
}

// everything is a query in which every condition a policy can set holds, but for the kind of agency and the relation.
func (a *asker) everything(role broker.Role, purpose broker.Purpose) broker.Query {
	q := broker.Query{V: broker.QueryVersion, Role: role, Purpose: purpose,
		Relation: broker.Relation{Case: broker.CaseAssigned, Coordinator: true, Signal: true, Claim: true, Municipality: broker.MunicipalitySame},
		Subject:  broker.QuerySubject{Kind: broker.SubjectPerson, Age: broker.Age18Plus}}
	if role == broker.RoleHolder {
		q.Relation = broker.Relation{Case: broker.CaseAgency, Municipality: broker.MunicipalitySame}
	}
	for _, m := range a.catalog.Mandates {
		q.Agency.Mandates = append(q.Agency.Mandates, broker.Mandate(m.ID))
	}
	for _, d := range a.catalog.Domains {
		domain := broker.Domain(d.ID)
		q.Agreements = append(q.Agreements, domain)
		q.Subject.Consent = append(q.Subject.Consent, domain)
		q.Subject.Release = append(q.Subject.Release, domain)
	}
	return q
}

// row finds what a role gets for a purpose; nil for nothing.
func (a *asker) row(role broker.Role, purpose broker.Purpose) (*Row, error) {
	q := a.everything(role, purpose)
	var all broker.Decision
	for _, kind := range a.kinds[role] {
		try := q
		try.Agency.Kind = kind
		dec, err := a.grants(try, a.catalog.Fields)
		if err != nil {
			return nil, err
		}
		if len(dec.Grants) > len(all.Grants) {
			all, q = dec, try
		}
	}
	if len(all.Grants) == 0 {
		return nil, nil
	}
	row := &Row{Role: role, Purpose: purpose}
	for _, kind := range a.catalog.AgencyKinds {
		try := q
		try.Agency.Kind = kind.ID
		dec, err := a.grants(try, given(a.catalog, all))
		if err != nil {
			return nil, err
		}
		if len(dec.Grants) > 0 {
			row.Kinds = append(row.Kinds, kind.ID)
		}
	}
	if err := a.needs(row, q, all); err != nil {
		return nil, err
	}
	if err := a.emergency(row, q); err != nil {
		return nil, err
	}
	return row, a.cells(row, q, all)
}

func given(c *broker.Catalog, dec broker.Decision) []broker.FieldInfo {
	return slices.DeleteFunc(slices.Clone(c.Fields), func(f broker.FieldInfo) bool {
		_, ok := dec.Grants[f.Path]
		return !ok
	})
}

func (a *asker) grants(q broker.Query, fields []broker.FieldInfo) (broker.Decision, error) {
	q.Fields = nil
	for _, f := range fields {
		q.Fields = append(q.Fields, f.Path)
	}
	return a.decider.Decide(a.ctx, a.revision, q)
}

// needs finds which mandates and which relations are enough.
func (a *asker) needs(row *Row, q broker.Query, all broker.Decision) error {
	enough := func(change func(*broker.Query)) (bool, error) {
		try := q
		change(&try)
		dec, err := a.grants(try, given(a.catalog, all))
		return len(dec.Grants) == len(all.Grants), err
	}
	without, err := enough(func(q *broker.Query) { q.Agency.Mandates = nil })
	if err != nil {
		return err
	}
	for _, m := range a.catalog.Mandates {
		ok, err := enough(func(q *broker.Query) { q.Agency.Mandates = []broker.Mandate{broker.Mandate(m.ID)} })
		if err != nil {
			return err
		}
		if ok && !without {
			row.Mandates = append(row.Mandates, broker.Mandate(m.ID))
		}
	}
	for _, tie := range []struct {
		name     string
		relation broker.Relation
	}{
		{"assigned", broker.Relation{Case: broker.CaseAssigned, Coordinator: true}},
		{"team", broker.Relation{Case: broker.CaseTeam, Coordinator: true}},
		{"agency", broker.Relation{Case: broker.CaseAgency, Coordinator: true}},
		{"signal", broker.Relation{Case: broker.CaseNone, Signal: true}},
		{"claim", broker.Relation{Case: broker.CaseNone, Claim: true}},
	} {
		tie.relation.Municipality = broker.MunicipalitySame
		ok, err := enough(func(q *broker.Query) { q.Relation = tie.relation })
		if err != nil {
			return err
		}
		if ok {
			row.Relation = append(row.Relation, tie.name)
		}
	}
	return nil
}

// emergency finds what an emergency adds.
func (a *asker) emergency(row *Row, q broker.Query) error {
	q.Subject.Consent, q.Subject.Release = nil, nil
	calm, err := a.grants(q, a.catalog.Fields)
	if err != nil {
		return err
	}
	q.Emergency = broker.QueryEmergency{Active: true, Domains: q.Agreements}
	danger, err := a.grants(q, a.catalog.Fields)
	if err != nil {
		return err
	}
	row.Emergency = []Given{}
	for _, f := range a.catalog.Fields {
		_, before := calm.Grants[f.Path]
		if g, after := danger.Grants[f.Path]; after && !before {
			row.Emergency = append(row.Emergency, Given{Field: f.Path, Form: g.Form})
		}
	}
	return nil
}

// cells sorts what was given by domain.
func (a *asker) cells(row *Row, q broker.Query, all broker.Decision) error {
	unconsented, unreleased := q, q
	unconsented.Subject.Consent, unreleased.Subject.Release = nil, nil
	without, err := a.grants(unconsented, given(a.catalog, all))
	if err != nil {
		return err
	}
	secret, err := a.grants(unreleased, given(a.catalog, all))
	if err != nil {
		return err
	}
	for _, d := range a.catalog.Domains {
		cell := Cell{Domain: broker.Domain(d.ID)}
		for _, f := range a.catalog.Fields {
			if f.Domain != cell.Domain {
				continue
			}
			cell.Of++
			g, ok := all.Grants[f.Path]
			if !ok {
				continue
			}
			given := Given{Field: f.Path, Form: g.Form}
			if _, ok := without.Grants[f.Path]; !ok {
				given.Needs = "consent"
			} else if _, ok := secret.Grants[f.Path]; !ok {
				given.Needs = "release"
			}
			cell.Fields = append(cell.Fields, given)
			if !slices.Contains(cell.Bases, g.Basis) {
				cell.Bases = append(cell.Bases, g.Basis)
			}
		}
		if len(cell.Fields) > 0 {
			cell.Letter = letter(cell)
			row.Cells = append(row.Cells, cell)
		}
	}
	return nil
}
