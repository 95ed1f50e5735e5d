package console

import "testing"

// Routes lists the table as "METHOD path".
func Routes(t *testing.T) (out []string) {
	t.Helper()
	for _, r := range (&Console{}).table() {
		out = append(out, r.method+" "+r.path)
	}
	return out
}

// Halt ends the work that goes on without anybody looking.
func (k *Console) Halt() { k.jobs.stop(); k.questions.stop() }

// Halt ends the reports that are being made.
func (k *Residents) Halt() { k.reports.stop() }

// ResidentRoutes lists the table of the residents' site.
func ResidentRoutes(t *testing.T) (out []string) {
	t.Helper()
	for _, r := range (&Residents{}).table() {
		out = append(out, r.method+" "+r.path)
	}
	return out
}
