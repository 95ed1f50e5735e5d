package decide

import "testing"

func TestRulesRefuse(t *testing.T) {
	const entry, complete = "data.a.b", "data.a.whole"
	good := map[string][]byte{"a.rego": []byte("package a\n\nb := {\"n\": input.n}\n\nwhole := true\n")}
	rules, err := LoadRules(t.Context(), good, entry, complete)
	if err != nil {
		t.Fatal(err)
	}
	type answer struct{ N int }
	var got answer
	if err := rules.Ask(t.Context(), map[string]int{"n": 7}, &got); err != nil || got.N != 7 {
		t.Errorf("%+v %v", got, err)
	}
	if err := rules.Ask(t.Context(), map[string]int{"m": 7}, &got); err == nil {
		t.Error("what is undefined passed for a result")
	}
	if err := rules.Ask(t.Context(), map[string]int{"n": 7}, &struct{ Other int }{}); err == nil {
		t.Error("a word that nobody reads was let through")
	}
	for name, text := range map[string]string{
		"clock":     "package a\n\nb := time.now_ns()\n\nwhole := true\n",
		"no entry":  "package a\n\nc := 1\n\nwhole := true\n",
		"no check":  "package a\n\nb := 1\n",
		"not whole": "package a\n\nb := 1\n\nwhole if data.threshold\n",
		"false":     "package a\n\nb := 1\n\nwhole := false\n",
		"no rego":   "package",
	} {
		if _, err := LoadRules(t.Context(), map[string][]byte{"a.rego": []byte(text)}, entry, complete); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}
