package workbench

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/schakel/schakel/broker"
)

// Table is the matrix in short: every role, with every purpose, about every field.
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

// Tabulate makes a short reading of the matrix: what each role gets for each purpose when every condition is met, and which
// conditions those are.
func (x *Explorer) Tabulate(ctx context.Context, files map[string][]byte) (Table, error) {
	m, err := x.Matrix(ctx, files)
	if err != nil {
		return Table{}, fmt.Errorf("tabulate policy: %w", err)
	}
	asker := &asker{matrix: m, catalog: m.Catalog, kinds: roleKinds(files, m.Catalog)}
	table := Table{Revision: m.Revision, Rows: []Row{}, Catalog: m.Catalog}
	for _, role := range m.Catalog.Roles {
		for _, purpose := range m.Catalog.Purposes {
			if row := asker.row(broker.Role(role.ID), broker.Purpose(purpose.ID)); row != nil {
				table.Rows = append(table.Rows, *row)
			}
		}
	}
	return table, nil
}

// asker asks a matrix what is given.
type asker struct {
	matrix  Matrix
	catalog *broker.Catalog
	kinds   map[broker.Role][]broker.AgencyKind // to ask as
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
func (a *asker) row(role broker.Role, purpose broker.Purpose) *Row {
	q := a.everything(role, purpose)
	var all given
	for _, kind := range a.kinds[role] {
		try := q
		try.Agency.Kind = kind
		if got := a.gets(try, a.catalog.Fields); len(got) > len(all) {
			all, q = got, try
		}
	}
	if len(all) == 0 {
		return nil
	}
	row := &Row{Role: role, Purpose: purpose}
	for _, kind := range a.catalog.AgencyKinds {
		try := q
		try.Agency.Kind = kind.ID
		if len(a.gets(try, all.of(a.catalog))) > 0 {
			row.Kinds = append(row.Kinds, kind.ID)
		}
	}
	a.needs(row, q, all)
	a.emergency(row, q)
	a.cells(row, q, all)
	return row
}

// given is what a query gets.
type given map[broker.Field]Way

// of gives those fields as the catalog has them.
func (g given) of(c *broker.Catalog) []broker.FieldInfo {
	return slices.DeleteFunc(slices.Clone(c.Fields), func(f broker.FieldInfo) bool {
		_, ok := g[f.Path]
		return !ok
	})
}

func (a *asker) gets(q broker.Query, fields []broker.FieldInfo) given {
	out := given{}
	for _, f := range fields {
		if w, ok := a.matrix.Given(q, f.Path); ok {
			out[f.Path] = w
		}
	}
	return out
}

// needs finds which mandates and which relations are enough.
func (a *asker) needs(row *Row, q broker.Query, all given) {
	enough := func(change func(*broker.Query)) bool {
		try := q
		change(&try)
		return len(a.gets(try, all.of(a.catalog))) == len(all)
	}
	without := enough(func(q *broker.Query) { q.Agency.Mandates = nil })
	for _, m := range a.catalog.Mandates {
		if !without && enough(func(q *broker.Query) { q.Agency.Mandates = []broker.Mandate{broker.Mandate(m.ID)} }) {
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
		if enough(func(q *broker.Query) { q.Relation = tie.relation }) {
			row.Relation = append(row.Relation, tie.name)
		}
	}
}

// emergency finds what an emergency adds.
func (a *asker) emergency(row *Row, q broker.Query) {
	q.Subject.Consent, q.Subject.Release = nil, nil
	calm := a.gets(q, a.catalog.Fields)
	q.Emergency = broker.QueryEmergency{Active: true, Domains: q.Agreements}
	danger := a.gets(q, a.catalog.Fields)
	row.Emergency = []Given{}
	for _, f := range a.catalog.Fields {
		_, before := calm[f.Path]
		if g, after := danger[f.Path]; after && !before {
			row.Emergency = append(row.Emergency, Given{Field: f.Path, Form: g.Form})
		}
	}
}

// cells sorts what was given by domain.
func (a *asker) cells(row *Row, q broker.Query, all given) {
	unconsented, unreleased := q, q
	unconsented.Subject.Consent, unreleased.Subject.Release = nil, nil
	without, secret := a.gets(unconsented, all.of(a.catalog)), a.gets(unreleased, all.of(a.catalog))
	for _, d := range a.catalog.Domains {
		cell := Cell{Domain: broker.Domain(d.ID)}
		for _, f := range a.catalog.Fields {
			if f.Domain != cell.Domain {
				continue
			}
			cell.Of++
			g, ok := all[f.Path]
			if !ok {
				continue
			}
			one := Given{Field: f.Path, Form: g.Form}
			if _, ok := without[f.Path]; !ok {
				one.Needs = "consent"
			} else if _, ok := secret[f.Path]; !ok {
				one.Needs = "release"
			}
			cell.Fields = append(cell.Fields, one)
			if !slices.Contains(cell.Bases, g.Basis) {
				cell.Bases = append(cell.Bases, g.Basis)
			}
		}
		if len(cell.Fields) > 0 {
			cell.Letter = letter(cell)
			row.Cells = append(row.Cells, cell)
		}
	}
}
