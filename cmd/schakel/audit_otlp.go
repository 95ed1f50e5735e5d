package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// collector takes records of a Logboek Dataverwerkingen over OTLP/HTTP (OpenTelemetry protocol 1.x, JSON encoding).
type collector struct {
	url    string // scheme and host, or the whole address of its traces
	header string // file with one header line, such as Authorization: Bearer …
}

// Of one request, and of one try at it.
const (
	otlpRecords = 200
	otlpBytes   = 1 << 20
	otlpPatient = 2 * time.Minute // over all tries
	otlpTry     = 15 * time.Second
)

// check refuses an address that would send records in clear over a network.
func (o collector) check() (address string, header http.Header, err error) {
	u, err := url.Parse(o.url)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || (u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Host))) {
		return "", nil, errors.New("--otlp is the https address of a collector, such as https://logboek.example; plain http only on this machine")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	header = http.Header{"Content-Type": {"application/json"}}
	if o.header != "" {
		line, err := secretFile(o.header)
		name, value, ok := strings.Cut(line, ":")
		if err != nil || !ok {
			return "", nil, errors.New("--otlp-header-file is a file with one line, such as Authorization: Bearer …")
		}
		header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return u.String(), header, nil
}

// push sends every line of a file, each an export request, some together, and counts those that were acknowledged. A record has
// the same span id in every export, so that one that was sent twice can be known.
func (o collector) push(ctx context.Context, file string) (acknowledged int, err error) {
	address, header, err := o.check()
	if err != nil {
		return 0, err
	}
	f, err := os.Open(file)
	if err != nil {
		return 0, fmt.Errorf("read export: %w", err)
	}
	defer func() { _ = f.Close() }()
	client := &http.Client{Timeout: otlpTry, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	var body []json.RawMessage
	size := 0
	send := func() error {
		if len(body) == 0 {
			return nil
		}
		data, err := json.Marshal(map[string][]json.RawMessage{"resourceSpans": body})
		if err != nil {
			return err
		}
		_, err = backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, deliver(ctx, client, address, header, data) }, backoff.WithMaxElapsedTime(otlpPatient))
		if err != nil {
			return err
		}
		acknowledged += len(body)
		body, size = nil, 0
		return nil
	}
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var request struct {
			ResourceSpans []json.RawMessage `json:"resourceSpans"`
		}
		if err == nil {
			err = json.Unmarshal(line, &request)
		}
		if err != nil {
			return acknowledged, fmt.Errorf("read export: %w", err)
		}
		body = append(body, request.ResourceSpans...)
		if size += len(line); len(body) >= otlpRecords || size >= otlpBytes {
			if err := send(); err != nil {
				return acknowledged, err
			}
		}
	}
	return acknowledged, send()
}

// deliver is one try. What the protocol lets a client try again comes back as an error to wait after; anything else is final.
func deliver(ctx context.Context, client *http.Client, address string, header http.Header, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(err)
	}
	r.Header = header.Clone()
	resp, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("send to the collector: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("send to the collector: %w", err) // whether it took them is not known: the same again
	}
	switch resp.StatusCode {
	case http.StatusOK:
		var answer struct {
			PartialSuccess struct {
				RejectedSpans json.Number `json:"rejectedSpans"` // a number, or a string as protobuf writes 64 bits
			} `json:"partialSuccess"`
		}
		if err := json.Unmarshal(text, &answer); err != nil && len(bytes.TrimSpace(text)) > 0 {
			return backoff.Permanent(errors.New("the collector's answer is not that of OTLP/HTTP in JSON; is this its address?"))
		}
		if n := answer.PartialSuccess.RejectedSpans.String(); n != "" && n != "0" {
			return backoff.Permanent(fmt.Errorf("the collector rejected %s of these records; its own log says why", n))
		}
		return nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds >= 0 {
			return backoff.RetryAfter(seconds)
		}
		return fmt.Errorf("the collector answers %s", resp.Status)
	}
	return backoff.Permanent(fmt.Errorf("the collector answers %s; nothing more was sent", resp.Status))
}
