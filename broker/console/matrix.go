package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/workbench"
)

const askMatrix = "matrix"

// matrixStep works out what a policy gives in every combination of facts.
func (k *Console) matrixStep(files map[string][]byte) step {
	return step{askMatrix, func(ctx context.Context, progress func(int, int)) (any, error) {
		m, err := k.explorer.Telling(progress).Matrix(ctx, files)
		return &m, err
	}}
}

// liveMatrix finds the work on the matrix of the revision in force.
func (k *Console) liveMatrix() (broker.Revision, *job) {
	r := k.cfg.Desk.Policy().Against()
	return r, k.jobs.get("matrix/" + string(r))
}

// matrixView is the page of the matrix: all roles and purposes, or one pair of them.
type matrixView struct {
	Revision      broker.Revision
	Began, Done   bool
	Work          stepState
	Matrix        *workbench.Matrix
	Roles         []matrixRow
	Purposes      []broker.Term
	Never         []broker.FieldInfo
	Role, Purpose broker.Text // of the pair that is shown
	Lines         []matrixLine
}

// matrixRow is one role with how many fields it gets something of for each purpose.
type matrixRow struct {
	broker.Term
	Pairs []matrixPair
}

type matrixPair struct {
	broker.Term
	Fields int
}

// matrixLine is what is given of some fields in one way.
type matrixLine struct {
	Fields []broker.FieldInfo
	Form   broker.Text
	Basis  broker.Text
	When   []string
	Always bool
}

func (k *Console) serveMatrix(c *call) error {
	r, j := k.liveMatrix()
	v := matrixView{Revision: r, Began: j != nil}
	if j != nil {
		s, _ := j.now()
		v.Done, v.Work = s.Done, s.Steps[0]
		if m, ok := s.Steps[0].Result.(*workbench.Matrix); ok && s.Steps[0].Err == nil {
			v.Matrix = m
			q := c.r.URL.Query()
			if role, purpose := q.Get("rol"), q.Get("doel"); role != "" || purpose != "" {
				if !v.pair(c, role, purpose) {
					return errNotFound
				}
			} else {
				v.whole()
			}
		}
	}
	title := c.say("Matrix: wie krijgt wat", "Matrix: who gets what")
	if v.Lines != nil {
		return c.render(http.StatusOK, "matrix_pair", c.Text(v.Role)+", "+c.Text(v.Purpose), v, link{"/matrix", title, false})
	}
	return c.render(http.StatusOK, "matrix", title, v)
}

// whole fills the overview.
func (v *matrixView) whole() {
	k := v.Matrix.Catalog
	for _, role := range k.Roles {
		row := matrixRow{Term: role}
		for _, purpose := range k.Purposes {
			n := 0
			for _, c := range v.Matrix.Cells {
				if string(c.Role) == role.ID && string(c.Purpose) == purpose.ID {
					n++
				}
			}
			if n > 0 {
				row.Pairs = append(row.Pairs, matrixPair{purpose, n})
			}
		}
		v.Roles = append(v.Roles, row)
	}
	for _, f := range k.Fields {
		if !slices.ContainsFunc(v.Matrix.Cells, func(c workbench.MatrixCell) bool { return c.Field == f.Path }) {
			v.Never = append(v.Never, f)
		}
	}
}

// pair fills the page of one role and purpose: fields of which the same is given under the same conditions together.
func (v *matrixView) pair(c *call, role, purpose string) bool {
	k := v.Matrix.Catalog
	var ok bool
	if v.Role, ok = termText(k.Roles, role); !ok {
		return false
	}
	if v.Purpose, ok = termText(k.Purposes, purpose); !ok {
		return false
	}
	v.Lines = []matrixLine{}
	index := map[string]int{}
	for _, cell := range v.Matrix.Cells {
		if string(cell.Role) != role || string(cell.Purpose) != purpose {
			continue
		}
		field, _ := k.Field(cell.Field)
		for n, w := range cell.Ways {
			key := fmt.Sprint(n, w, cell.Always)
			i, there := index[key]
			if !there {
				i, index[key] = len(v.Lines), len(v.Lines)
				basis, _ := termText(k.Bases, string(w.Basis))
				form, _ := termText(k.Forms, string(w.Form))
				line := matrixLine{Form: form, Basis: basis, Always: cell.Always}
				for _, all := range w.When {
					var words []string
					for _, condition := range all {
						words = append(words, c.Text(condition.Text(k)))
					}
					line.When = append(line.When, strings.Join(words, "; "))
				}
				v.Lines = append(v.Lines, line)
			}
			v.Lines[i].Fields = append(v.Lines[i].Fields, field)
		}
	}
	return true
}

func termText(list []broker.Term, id string) (broker.Text, bool) {
	i := slices.IndexFunc(list, func(t broker.Term) bool { return t.ID == id })
	if i < 0 {
		return broker.Text{}, false
	}
	return list[i].Text, true
}

// Term says a word of a closed list; one that is not in it by itself.
func (c *call) Term(list []broker.Term, id any) string {
	if t, ok := termText(list, fmt.Sprint(id)); ok {
		return c.Text(t)
	}
	return fmt.Sprint(id)
}

func (k *Console) startMatrix(c *call) error {
	r, files, err := k.live(c.r.Context())
	if err != nil {
		return err
	}
	k.jobs.start("matrix/"+string(r), true, []step{k.matrixStep(files)})
	c.redirect("/matrix")
	return nil
}

func (k *Console) serveMatrixProgress(c *call) error {
	_, j := k.liveMatrix()
	if j == nil {
		return errNotFound
	}
	return c.follow(j)
}

// serveMatrixFile gives the matrix as a file, for a DPIA or the register of processing (AVG 30).
func (k *Console) serveMatrixFile(c *call) error {
	r, j := k.liveMatrix()
	if j == nil {
		return errNotFound
	}
	s, _ := j.now()
	m, ok := s.Steps[0].Result.(*workbench.Matrix)
	if !ok || s.Steps[0].Err != nil {
		return errNotFound
	}
	var data []byte
	name, kind := "matrix", "text/markdown; charset=utf-8"
	form := c.r.URL.Query().Get("vorm")
	switch form {
	case "md":
		data = []byte(m.Markdown())
	case "csv":
		data, kind = []byte(m.CSV()), "text/csv; charset=utf-8"
	case "json":
		var err error
		if data, err = json.Marshal(m); err != nil {
			return err
		}
		kind = "application/json"
	case "avg30":
		data, name, form = []byte(m.RegisterMarkdown()), "verwerkingsregister", "md"
	default:
		return errNotFound
	}
	c.w.Header().Set("Content-Type", kind)
	c.w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="schakel-%s-%.12s.%s"`, name, r, form))
	_, _ = c.w.Write(data)
	return nil
}
