package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// asker is what the flags of ask and token say.
type asker struct {
	agency, worker, role, keyFile, audience, server, data string
	lifetime                                              time.Duration
	dpop, nonce                                           string

	purpose, household, fields, workCase, onRefusal, idempotency, save, encryptionKey string

	json bool
	tls  callerTLS
	in   io.Reader // where bsn:- is read from
}

func (a *asker) tokenFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&a.agency, "agency", "", "OIN of the agency that asks (20 digits)")
	f.StringVar(&a.worker, "worker", "", "the worker it asks for")
	f.StringVar(&a.role, "role", "", "the worker's role, such as wijkteammedewerker")
	f.StringVar(&a.keyFile, "key", "", "file with the agency's private key (JWK); default: agencies/OIN.jwk in the data folder")
	f.StringVar(&a.server, "server", "", "URL of Schakel; default: the demo's in the data folder, or http://127.0.0.1:8080")
	f.StringVar(&a.audience, "audience", "", "what the server calls itself in tokens; default: its URL")
	f.DurationVar(&a.lifetime, "lifetime", maxLifetime, "how long the token is good, at most 300s")
	f.StringVar(&a.dpop, "dpop", "", "bind the token to the private key (JWK) in this file, and prove it (RFC 9449); made when it is not there")
	a.tls.flags(c)
	dataFlag(c, &a.data)
	for _, name := range []string{"agency", "worker", "role"} {
		_ = c.MarkFlagRequired(name)
	}
}

func (a *asker) askFlags(c *cobra.Command, required bool) {
	f := c.Flags()
	f.StringVar(&a.purpose, "purpose", "", "the purpose, such as ontruiming-voorkomen")
	f.StringVar(&a.household, "household", "", "bsn:N for a household by one of its members (bsn:- reads N from standard input), or case:ID")
	f.StringVar(&a.fields, "fields", "", "fields or groups of fields, separated by commas")
	f.StringVar(&a.workCase, "case", "", "your working case, where --household is a BSN")
	f.StringVar(&a.onRefusal, "on-refusal", "", "omit (give the rest, the default) or fail (all or nothing)")
	f.StringVar(&a.idempotency, "idempotency-key", "", "links a repeat to the first request in the log")
	f.StringVar(&a.save, "save", "", "keep the evidence (answer and signature) in this file")
	f.StringVar(&a.encryptionKey, "decrypt", "", "ask for application/jose; file with your private encryption key (JWK) if you registered one, - without")
	jsonFlag(c, &a.json)
	if required {
		for _, name := range []string{"purpose", "household", "fields"} {
			_ = c.MarkFlagRequired(name)
		}
	}
}

func newAsk() *cobra.Command {
	a := &asker{}
	c := &cobra.Command{
		Use:   "ask --agency OIN --worker ID --role R --purpose P --household bsn:N|case:ID --fields a,b",
		Short: "Ask for household data, verify the answer and show it",
		Long: `Makes a token for the worker, asks, and always verifies the signature of what comes back.
Exit code: 0 disclosed, 3 refused (signed), 4 not verifiable, 1 anything else.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.in = c.InOrStdin()
			return a.ask(c.Context(), c.OutOrStdout())
		},
	}
	a.tokenFlags(c)
	a.askFlags(c, true)
	return c
}

func newToken() *cobra.Command {
	a := &asker{}
	c := &cobra.Command{
		Use:   "token --agency OIN --worker ID --role R",
		Short: "Print a token, to ask with curl",
		Long: `Prints a bearer token. With --dpop it prints two headers instead, Authorization and DPoP, for one request:
  schakel token … --dpop key.jwk --nonce "$NONCE" | curl -H @- …
The nonce is the header DPoP-Nonce of the last answer; the first one comes with a 401.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.print(c.OutOrStdout()) },
	}
	a.tokenFlags(c)
	c.Flags().StringVar(&a.nonce, "nonce", "", "with --dpop: the last DPoP-Nonce of the server")
	a.askFlags(c, false) // the same flags as ask, so that one command line serves both; these do not change the token
	return c
}

// print shows a token, or what a request with a bound one carries.
func (a *asker) print(out io.Writer) error {
	token, err := a.token()
	if err != nil {
		return err
	}
	if a.dpop == "" {
		if a.nonce != "" {
			return &exitError{exitUsage, errors.New("--nonce goes with --dpop")}
		}
		if a.json {
			return printJSON(out, map[string]string{"token": token})
		}
		_, err = fmt.Fprintln(out, token)
		return err
	}
	proof, err := a.proof(token, a.nonce)
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(out, map[string]string{"token": token, "proof": proof})
	}
	_, err = fmt.Fprintf(out, "Authorization: DPoP %s\nDPoP: %s\n", token, proof)
	return err
}

// token signs a token with the agency's key.
func (a *asker) token() (string, error) {
	a.defaults()
	bound, err := a.proofKey()
	if err != nil {
		return "", err
	}
	oin, err := broker.ParseOIN(a.agency)
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("--agency: %w", err)}
	}
	if a.lifetime <= 0 || a.lifetime > maxLifetime {
		return "", &exitError{exitUsage, errors.New("--lifetime is at most 300s")}
	}
	signer, err := agencySigner(a.data, a.keyFile, oin)
	if err != nil {
		return "", err
	}
	thumbprint, err := a.tls.thumbprint()
	if err != nil {
		return "", err
	}
	return seal.SignToken(signer, seal.TokenClaims{Agency: oin, Worker: broker.WorkerID(a.worker), Role: broker.Role(a.role),
		Audience: a.audience, IssuedAt: time.Now(), Lifetime: a.lifetime, CertificateThumbprint: thumbprint,
		KeyThumbprint: bound})
}

// proofKey gives the thumbprint of the key in --dpop, "" without, and makes the file when it is not there.
func (a *asker) proofKey() (string, error) {
	if a.dpop == "" {
		return "", nil
	}
	if _, err := os.Stat(a.dpop); errors.Is(err, os.ErrNotExist) {
		_, private, err := keys.NewAgencyKey(keys.ES256)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(a.dpop, append(private, '\n'), 0o600); err != nil {
			return "", fmt.Errorf("--dpop: %w", err)
		}
	}
	key, err := a.prover()
	if err != nil {
		return "", err
	}
	return seal.ProofKey(key)
}

func (a *asker) prover() (keys.Signer, error) {
	data, err := os.ReadFile(a.dpop)
	if err != nil {
		return keys.Signer{}, fmt.Errorf("--dpop: %w", err)
	}
	key, err := keys.ParseSigner(data)
	if err != nil {
		return keys.Signer{}, fmt.Errorf("--dpop: %w", err)
	}
	return key, nil
}

// proof signs the proof of one request. The server knows itself by its audience, whatever way leads to it.
func (a *asker) proof(token, nonce string) (string, error) {
	key, err := a.prover()
	if err != nil {
		return "", err
	}
	return seal.SignProof(key, seal.ProofClaims{Token: token, Method: http.MethodPost, URL: strings.TrimRight(a.audience, "/") + disclosures,
		Nonce: nonce, IssuedAt: time.Now()})
}

func (a *asker) defaults() {
	if d, err := readDemo(a.data); err == nil {
		a.server = cmp.Or(a.server, d.Server)
	}
	a.server = strings.TrimRight(cmp.Or(a.server, "http://127.0.0.1:8080"), "/")
	a.audience = cmp.Or(a.audience, a.server)
}

// requestBody makes the JSON that is posted.
func (a *asker) requestBody() ([]byte, error) {
	kind, value, ok := strings.Cut(a.household, ":")
	if !ok || (kind != "bsn" && kind != "case") || value == "" {
		return nil, &exitError{exitUsage, errors.New("--household is bsn:N (bsn:- reads N from standard input) or case:ID")}
	}
	if kind == "bsn" && value == "-" {
		var err error
		if value, err = readLine(a.in); err != nil {
			return nil, fmt.Errorf("--household: %w", err)
		}
	}
	body := map[string]any{"household": map[string]string{kind: value}, "purpose": a.purpose,
		"fields": strings.FieldsFunc(a.fields, func(r rune) bool { return r == ',' || r == ' ' })}
	if a.workCase != "" {
		body["case"] = a.workCase
	}
	if a.onRefusal != "" {
		body["onRefusal"] = a.onRefusal
	}
	return json.Marshal(body)
}

// maxLifetime is what a server accepts of a token.
const maxLifetime = 300 * time.Second

// disclosures is where a server is asked.
const disclosures = "/v1/disclosures"

// maxAnswer bounds what is read of a server's answer.
const maxAnswer = 4 << 20

func (a *asker) ask(ctx context.Context, out io.Writer) error {
	token, err := a.token()
	if err != nil {
		return err
	}
	client, err := a.tls.client()
	if err != nil {
		return err
	}
	body, err := a.requestBody()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	evidence, status, err := a.post(ctx, client, token, body)
	if err != nil {
		return err
	}
	if evidence.Signature == "" && evidence.Compact == "" {
		return unsigned(status, evidence.Body)
	}
	var unsaved error // said at the end: the answer was recorded, and is shown all the same
	if a.save != "" {
		unsaved = saveEvidence(a.save, evidence)
	}
	jwks, err := get(ctx, client, a.server+"/.well-known/jwks.json", "")
	if err != nil {
		return &exitError{exitUnverifiable, fmt.Errorf("NOT VERIFIED, do not use this answer: %w", err)}
	}
	verified, err := seal.Verify(evidence, jwks)
	if err != nil {
		return &exitError{exitUnverifiable, fmt.Errorf("NOT VERIFIED, do not use this answer: %w", err)}
	}
	if a.json {
		err = printJSON(out, verifiedJSON(verified))
	} else {
		err = a.show(ctx, client, out, verified)
	}
	if err = errors.Join(err, unsaved); err == nil && verified.Kind == seal.Refusal {
		return &exitError{code: exitRefused}
	}
	return err
}

// post asks. Where a proof needs a nonce that the server has yet to give, it asks once more with it (RFC 9449, 9).
func (a *asker) post(ctx context.Context, client *http.Client, token string, body []byte) (seal.Evidence, int, error) {
	resp, answer, err := a.send(ctx, client, token, "", body)
	if nonce := nonceOf(resp); err == nil && a.dpop != "" && resp.StatusCode == http.StatusUnauthorized && nonce != "" {
		resp, answer, err = a.send(ctx, client, token, nonce, body)
	}
	if err != nil {
		return seal.Evidence{}, 0, err
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/jose") {
		compact, err := a.open(string(answer))
		return seal.Evidence{Compact: compact}, resp.StatusCode, err
	}
	return seal.Evidence{Body: answer, Signature: resp.Header.Get("Payload-Signature")}, resp.StatusCode, nil
}

// nonceOf gives the nonce that a server asks for, "" where it asks for none.
func nonceOf(resp *http.Response) string {
	if resp == nil || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) {
		return ""
	}
	return resp.Header.Get("DPoP-Nonce")
}

// send makes one request and reads the whole answer.
func (a *asker) send(ctx context.Context, client *http.Client, token, nonce string, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.server+disclosures, bytes.NewReader(body))
	if err != nil {
		return nil, nil, &exitError{exitUsage, fmt.Errorf("--server: %w", err)}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if a.dpop != "" {
		proof, err := a.proof(token, nonce)
		if err != nil {
			return nil, nil, err
		}
		req.Header.Set("Authorization", "DPoP "+token)
		req.Header.Set("DPoP", proof)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept-Language", "nl")
	if a.encryptionKey != "" {
		req.Header.Set("Accept", "application/jose")
	}
	if a.idempotency != "" {
		req.Header.Set("Idempotency-Key", a.idempotency)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("ask %s: no answer; is it running? (%w)", a.server, errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("read answer: %w", err)
	}
	return resp, answer, nil
}

// open unpacks a nested JWE; a plain JWS has two dots and passes.
func (a *asker) open(compact string) (string, error) {
	if strings.Count(compact, ".") == 2 {
		return compact, nil
	}
	key, err := os.ReadFile(a.encryptionKey)
	if err != nil {
		return "", fmt.Errorf("the answer is encrypted; --decrypt must name the private key: %w", err)
	}
	return seal.Decrypt(compact, key)
}

// unsigned reports a problem: it names parameters and reasons, and holds no data.
func unsigned(status int, body []byte) error {
	if status < 400 {
		return &exitError{exitUnverifiable, errors.New("NOT VERIFIED: the answer has no signature; do not use it")}
	}
	var p struct {
		Title, Detail, Code string
		InvalidParams       []broker.Param `json:"invalidParams"`
	}
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return fmt.Errorf("the server answered %d without a problem document; is --server right?", status)
	}
	lines := []string{fmt.Sprintf("%s (%d %s). %s", p.Title, status, p.Code, p.Detail)}
	for _, param := range p.InvalidParams {
		lines = append(lines, fmt.Sprintf("  %s: %s", param.Name, param.Reason))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// verifiedJSON is what --json prints.
func verifiedJSON(v seal.Verified) map[string]any {
	return map[string]any{"verified": true, "kind": v.Kind, "kid": v.KeyID, "issuedAt": v.IssuedAt, "receipt": v.Receipt,
		"answer": json.RawMessage(v.Body)}
}

func saveEvidence(path string, e seal.Evidence) error {
	data, err := e.Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("save evidence: %w", err)
	}
	return nil
}
