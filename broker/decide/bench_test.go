package decide_test

import (
	"context"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

func benchmark(b *testing.B, memo int, fields func(*broker.Catalog) []broker.Field) {
	d, name := shipped(b, memo)
	c, err := d.Catalog(name)
	if err != nil {
		b.Fatal(err)
	}
	q := example()
	q.Fields = fields(c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decide(context.Background(), name, q); err != nil {
			b.Fatal(err)
		}
	}
}

func oneField(*broker.Catalog) []broker.Field { return []broker.Field{"huur.achterstand.bedrag"} }

func allFields(c *broker.Catalog) []broker.Field {
	var out []broker.Field
	for _, f := range c.Fields {
		out = append(out, f.Path)
	}
	return out
}

func BenchmarkDecide(b *testing.B) {
	b.Run("one/cold", func(b *testing.B) { benchmark(b, -1, oneField) })
	b.Run("one/memo", func(b *testing.B) { benchmark(b, 0, oneField) })
	b.Run("all/cold", func(b *testing.B) { benchmark(b, -1, allFields) })
	b.Run("all/memo", func(b *testing.B) { benchmark(b, 0, allFields) })
}

func BenchmarkLoad(b *testing.B) {
	files := policies.Files()
	name := policies.Revision(files)
	for b.Loop() {
		if err := decide.New(decide.Config{}).Load(context.Background(), name, files); err != nil {
			b.Fatal(err)
		}
	}
}
