package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/schakel/schakel/test/policiestest"
)

// TestMatrixIsOfWhatIsInForce: once another policy is in force, nothing is shown or given of the matrix of the one before.
func TestMatrixIsOfWhatIsInForce(t *testing.T) {
	s := start(t, nil)
	s.desk.files = policiestest.Small()
	v := s.as("p1")
	v.send("/matrix", nil)
	v.get("/matrix/voortgang") // ends when the matrix is there
	const cell = "rol=wijkteammedewerker"
	if _, body := v.get("/matrix"); !strings.Contains(body, cell) {
		t.Fatal("the matrix is not shown")
	}
	if resp, _ := v.get("/matrix/bestand?vorm=csv"); resp.StatusCode != http.StatusOK {
		t.Fatalf("the file: %d", resp.StatusCode)
	}
	const reasons = "schakel/reasons.rego"
	s.desk.change(reasons, string(s.desk.files[reasons])+"# anders\n")
	if _, body := v.get("/matrix"); strings.Contains(body, cell) || !strings.Contains(body, "Reken de matrix uit") {
		t.Error("the page shows the matrix of a policy that is not in force, or does not offer to work it out")
	}
	if resp, _ := v.get("/matrix/bestand?vorm=csv"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the file of a policy that is not in force: %d", resp.StatusCode)
	}
}
