package policies

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits of a bundle. The shipped policy has some 50 files and 300 KB.
const (
	MaxFiles = 1000
	MaxBytes = 8 << 20 // of all files together, unpacked
	maxPath  = 200
)

// Bundle packs files into a tar.gz in OPA's bundle layout. The same files give the same bytes: paths sorted, no times,
// no owners.
func Bundle(files map[string][]byte) ([]byte, error) {
	if err := checkSize(files); err != nil {
		return nil, fmt.Errorf("pack bundle: %w", err)
	}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := checkPath(path); err != nil {
			return nil, fmt.Errorf("pack bundle: %w", err)
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(files[path])),
			ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if err := archive.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack bundle: %w", err)
		}
		if _, err := archive.Write(files[path]); err != nil {
			return nil, fmt.Errorf("pack bundle: %w", err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return nil, fmt.Errorf("pack bundle: %w", err)
	}
	return out.Bytes(), nil
}

// Unbundle unpacks what Bundle packed. It refuses more than MaxFiles files or MaxBytes bytes, a path twice, a path that
// leaves the tree, and anything that is not a plain file or a folder.
func Unbundle(data []byte) (map[string][]byte, error) {
	files, err := unbundle(data)
	if err != nil {
		return nil, fmt.Errorf("unpack bundle: %w", err)
	}
	return files, nil
}

func unbundle(data []byte) (map[string][]byte, error) {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("not gzip: %w", err)
	}
	// A tar header and padding take at most 2 KB a file; whatever unpacks to more than this is no policy.
	limited := &io.LimitedReader{R: zip, N: MaxBytes + MaxFiles*2048 + 4096}
	archive := tar.NewReader(limited)
	files, total := map[string][]byte{}, int64(0)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("not a tar archive: %w", err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if h.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("%q is not a plain file", h.Name)
		}
		path := strings.TrimPrefix(h.Name, "/") // opa build writes paths with a slash in front
		if err := checkPath(path); err != nil {
			return nil, err
		}
		if _, twice := files[path]; twice {
			return nil, fmt.Errorf("%q stands twice in the archive", path)
		}
		if total += h.Size; total > MaxBytes || len(files) >= MaxFiles {
			return nil, errTooLarge
		}
		if files[path], err = io.ReadAll(archive); err != nil {
			return nil, fmt.Errorf("read %q: %w", path, err)
		}
	}
}

var errTooLarge = fmt.Errorf("more than %d files or %d bytes; a policy is smaller", MaxFiles, MaxBytes)

func checkSize(files map[string][]byte) error {
	total := 0
	for _, content := range files {
		total += len(content)
	}
	if total > MaxBytes || len(files) > MaxFiles {
		return errTooLarge
	}
	return nil
}

// checkPath demands a clean relative path of plain characters. Backslashes and colons mean something on some machines.
func checkPath(path string) error {
	if !fs.ValidPath(path) || path == "." || len(path) > maxPath || strings.ContainsAny(path, "\\:\x00\n\r") {
		return fmt.Errorf("path %q: use a relative path of at most %d characters inside the policy folder", path, maxPath)
	}
	return nil
}
