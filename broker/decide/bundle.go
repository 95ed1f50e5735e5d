package decide

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/schakel/schakel/policies"
)

// BundleContent gives what is signed of a policy bundle, in the form of OPA's own bundle signatures: the payload of a JWT
// with the name and SHA-256 of every file but the signatures.
func BundleContent(files map[string][]byte) ([]byte, error) {
	hash, err := bundle.NewSignatureHasher(bundle.SHA256)
	if err != nil {
		return nil, fmt.Errorf("digest bundle: %w", err)
	}
	var content struct {
		Files []bundle.FileInfo `json:"files"`
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == policies.Signatures {
			continue
		}
		var v any = files[name]
		if bundle.IsStructuredDoc(name) { // OPA signs what such a file means, and not how it is written
			if err := util.Unmarshal(files[name], &v); err != nil {
				return nil, fmt.Errorf("digest bundle: %s: %w", name, err)
			}
		}
		sum, err := hash.HashFile(v)
		if err != nil {
			return nil, fmt.Errorf("digest bundle: %s: %w", name, err)
		}
		content.Files = append(content.Files, bundle.NewFile(name, fmt.Sprintf("%x", sum), string(bundle.SHA256)))
	}
	return json.Marshal(content)
}

// BundleSignature reads the one signature (a compact JWS) of a bundle's signatures file.
func BundleSignature(files map[string][]byte) (string, error) {
	data, there := files[policies.Signatures]
	if !there {
		return "", errors.New("read bundle signature: the bundle is not signed; only one that was approved is")
	}
	var s bundle.SignaturesConfig
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || len(s.Signatures) != 1 || s.Plugin != "" {
		return "", fmt.Errorf("read bundle signature: %s must hold one signature", policies.Signatures)
	}
	return s.Signatures[0], nil
}

// WithSignature gives the files and their signatures file, as OPA writes it.
func WithSignature(files map[string][]byte, signature string) (map[string][]byte, error) {
	data, err := json.MarshalIndent(bundle.SignaturesConfig{Signatures: []string{signature}}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write bundle signature: %w", err)
	}
	out := maps.Clone(files)
	out[policies.Signatures] = data
	return out, nil
}

// CheckBundle makes sure that these are exactly the files that were signed; content is the verified payload of the
// signature.
func CheckBundle(files map[string][]byte, content []byte) error {
	var signed bundle.DecodedSignature
	if err := json.Unmarshal(content, &signed); err != nil {
		return errors.New("check bundle: what was signed is no list of files")
	}
	left := make(map[string]bundle.FileInfo, len(signed.Files))
	for _, f := range signed.Files {
		if f.Algorithm != string(bundle.SHA256) {
			return fmt.Errorf("check bundle: %s was signed by another digest than %s", f.Name, bundle.SHA256)
		}
		left[f.Name] = f
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == policies.Signatures {
			continue
		}
		if err := bundle.VerifyBundleFile(name, *bytes.NewBuffer(files[name]), left); err != nil {
			return fmt.Errorf("check bundle: %w", err)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("check bundle: %d files that were signed are not in it, %s first", len(left), slices.Sorted(maps.Keys(left))[0])
	}
	return nil
}
