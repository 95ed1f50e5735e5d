package checkpoint

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"regexp"
)

// resource is what of the folder is the log (C2SP tlog-tiles); nothing else of it is served.
var resource = regexp.MustCompile(`^/(checkpoint|tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?)$`)

// Handler serves a log's folder to anybody (C2SP tlog-tiles): GET /checkpoint, /tile/<L>/<N>[.p/<W>] and
// /tile/entries/<N>[.p/<W>]. What it serves names writers and hashes, and nobody else.
func Handler(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "a log is read with GET", http.StatusMethodNotAllowed)
			return
		}
		if !resource.MatchString(r.URL.Path) {
			http.Error(w, "no such resource of a log: see C2SP tlog-tiles", http.StatusNotFound)
			return
		}
		root, err := os.OpenRoot(dir)
		var data []byte
		if err == nil {
			data, err = root.ReadFile(r.URL.Path[1:])
			_ = root.Close()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			http.Error(w, "not in this log (yet)", http.StatusNotFound)
			return
		case err != nil:
			http.Error(w, "the log can't be read now; try again", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Access-Control-Allow-Origin", "*")
		if r.URL.Path == "/checkpoint" {
			h.Set("Content-Type", "text/plain; charset=utf-8")
			h.Set("Cache-Control", "no-cache")
		} else {
			h.Set("Content-Type", "application/octet-stream")
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		_, _ = w.Write(data)
	})
}
