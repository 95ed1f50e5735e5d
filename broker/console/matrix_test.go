package console_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestMatrixIsOfWhatIsInForce: once another policy is in force, nothing is shown or given of the matrix of the one before.
func TestMatrixIsOfWhatIsInForce(t *testing.T) {
	s := start(t, nil)
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
	s.desk.change(wmo, "# anders\n"+string(s.desk.files[wmo]))
	if _, body := v.get("/matrix"); strings.Contains(body, cell) || !strings.Contains(body, "Reken de matrix uit") {
		t.Error("the page shows the matrix of a policy that is not in force, or does not offer to work it out")
	}
	if resp, _ := v.get("/matrix/bestand?vorm=csv"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the file of a policy that is not in force: %d", resp.StatusCode)
	}
}
