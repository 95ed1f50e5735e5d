package policies_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/policies"
)

func TestRevision(t *testing.T) {
	files := map[string][]byte{"b/x.rego": []byte("package b\n"), "a.rego": []byte("package a\n"), "a/z_test.rego": []byte("package z\n")}
	line := func(path string) string { return fmt.Sprintf("%x  %s\n", sha256.Sum256(files[path]), path) }
	// By the bytes of the path: '.' sorts before '/'.
	want := fmt.Sprintf("%x", sha256.Sum256([]byte(line("a.rego")+line("a/z_test.rego")+line("b/x.rego"))))
	if got := policies.Revision(files); string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	files[policies.Signatures] = []byte("{}")
	if got := policies.Revision(files); string(got) != want {
		t.Error("signatures changed the revision")
	}
	files["a/z_test.rego"] = []byte("package zz\n")
	if got := policies.Revision(files); string(got) == want {
		t.Error("a changed test did not change the revision")
	}
}

func TestFilesAreTheCallers(t *testing.T) {
	before := policies.Revision(policies.Files())
	mine := policies.Files()
	for path := range mine {
		mine[path][0] = '!'
	}
	if policies.Revision(policies.Files()) != before {
		t.Error("what one caller changed, another sees")
	}
}

func TestBundleRoundTrip(t *testing.T) {
	files := policies.Files()
	one, err := policies.Bundle(files)
	if err != nil {
		t.Fatal(err)
	}
	two, err := policies.Bundle(maps.Clone(files))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("the same files gave other bytes")
	}
	back, err := policies.Unbundle(one)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(files, back, bytes.Equal) {
		t.Error("other files came back")
	}
}

func TestBundleProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := rapid.MapOf(rapid.StringMatching(`[a-z]{1,8}(/[a-z]{1,8}){0,2}\.(rego|json)`), rapid.SliceOf(rapid.Byte())).Draw(t, "files")
		data, err := policies.Bundle(files)
		if err != nil {
			t.Fatal(err)
		}
		back, err := policies.Unbundle(data)
		if err != nil || policies.Revision(back) != policies.Revision(files) {
			t.Fatalf("got %v, %v", back, err)
		}
	})
}

func TestBundleRefusesPaths(t *testing.T) {
	for _, path := range []string{"", ".", "/etc/x", "../x", "a/../x", "a//b", "a/", `a\b`, "c:x", "a\nb", strings.Repeat("a", 201)} {
		if _, err := policies.Bundle(map[string][]byte{path: nil}); err == nil {
			t.Errorf("packed %q", path)
		}
	}
}

type entry struct {
	name string
	kind byte
	size int
}

func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(e.size), Mode: 0o644}
		if e.kind == tar.TypeSymlink {
			h.Linkname, h.Size = "/etc/passwd", 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnbundleRefuses(t *testing.T) {
	var many []entry
	for i := range policies.MaxFiles + 1 {
		many = append(many, entry{fmt.Sprintf("f%d", i), tar.TypeReg, 0})
	}
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"no gzip":     {[]byte("hello"), "not gzip"},
		"no tar":      {gz(t, []byte("hello, this is no archive")), "not a tar"},
		"half a tar":  {archive(t, entry{"a", tar.TypeReg, 10_000})[:60], "unexpected EOF"},
		"out of tree": {archive(t, entry{"../x", tar.TypeReg, 1}), "inside the policy folder"},
		"out, slash":  {archive(t, entry{"/../x", tar.TypeReg, 1}), "inside the policy folder"},
		"a link":      {archive(t, entry{"x", tar.TypeSymlink, 0}), "not a plain file"},
		"twice":       {archive(t, entry{"x", tar.TypeReg, 1}, entry{"/x", tar.TypeReg, 1}), "twice"},
		"too large":   {archive(t, entry{"x", tar.TypeReg, policies.MaxBytes + 1}), "more than"},
		"large together": {archive(t, entry{"x", tar.TypeReg, policies.MaxBytes / 2}, entry{"y", tar.TypeReg, policies.MaxBytes / 2},
			entry{"z", tar.TypeReg, 1}), "more than"},
		"too many": {archive(t, many...), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := policies.Unbundle(tt.data); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// opa build writes paths with a slash in front, and folders.
func TestUnbundleTakesOtherTools(t *testing.T) {
	got, err := policies.Unbundle(archive(t, entry{"schakel/", tar.TypeDir, 0}, entry{"/schakel/x.rego", tar.TypeReg, 3}))
	if err != nil || len(got["schakel/x.rego"]) != 3 {
		t.Errorf("got %v, %v", got, err)
	}
}

func gz(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func FuzzUnbundle(f *testing.F) {
	data, err := policies.Bundle(map[string][]byte{"schakel/x.rego": []byte("package x\n")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := policies.Unbundle(data)
		if err != nil {
			return
		}
		// What can be unpacked can be packed: the same checks hold both ways.
		again, err := policies.Bundle(files)
		if err != nil {
			t.Fatal(err)
		}
		back, err := policies.Unbundle(again)
		if err != nil || policies.Revision(back) != policies.Revision(files) {
			t.Fatal("not the same files", err)
		}
	})
}
