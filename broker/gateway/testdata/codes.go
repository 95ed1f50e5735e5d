// Package codes has each way in which a package can fail with a code, for the test of the scan.
package codes

import "github.com/schakel/schakel/broker"

const constant = "constant"

func direct(other bool) error {
	_ = broker.Fail(broker.KindInvalid, "literal", nil)
	_ = broker.Fail(broker.KindBusy, constant, nil)
	code := "one"
	if other {
		code = "other"
	}
	_ = &broker.Error{Code: "zero-kind"}
	_ = &broker.Error{Kind: broker.KindTooLarge, Code: "composite", Params: []broker.Param{{Name: "x"}}}
	return broker.Fail(broker.KindInvalid, code, nil)
}

func outer(code string) error { return wrap(code, nil) }

func wrap(code string, cause error) error { return broker.Fail(broker.KindUnavailable, code, cause) }

func callers(wrong []string, i int) {
	_ = wrap("wrapped", nil)
	_ = outer("twice-wrapped")
	broken := func(code string) error { return broker.Fail(broker.KindInternal, code, nil) }
	_ = broken("closure")
	_ = broker.Fail(broker.KindInvalid, wrong[i], nil) // dark
	var p params
	p.add("name", "added")
	_ = broker.Param{Name: "x", Code: "param"}
}

func held() error {
	h := &holder{code: "field"}
	h.code = constant
	return wrap(h.code, nil)
}

type holder struct{ code string }

type params struct{ list []broker.Param }

func (p *params) add(name, code string) {
	p.list = append(p.list, broker.Param{Name: name, Code: code})
}
