package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"

	"github.com/gin-gonic/gin"
	"github.com/go-jose/go-jose/v4"
	"github.com/redis/go-redis/v9"
)

// assemblyConfig is what the usual assembly is told.
type assemblyConfig struct {
	OPA    string
	Redis  string
	Inputs string // file with OPA's input for each question, one a line
}

// serveAssembly is what people put together without Schakel: a gateway that asks an OPA server, adds one entry to a
// Redis stream for each request, and signs what it answers. It is spared all else: it checks no token, finds the facts
// of a question ready in memory, asks no holder and encrypts nothing.
func serveAssembly(c assemblyConfig) error {
	inputs, err := readLines(c.Inputs)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JOSE"))
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	stream := redis.NewClient(&redis.Options{Addr: c.Redis, PoolSize: 128})
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.POST("/v1/disclosures", func(g *gin.Context) {
		n, err := strconv.Atoi(g.GetHeader("X-Question"))
		if err != nil || n < 0 || n >= len(inputs) {
			g.AbortWithStatus(http.StatusBadRequest)
			return
		}
		question, err := io.ReadAll(g.Request.Body)
		if err != nil {
			g.AbortWithStatus(http.StatusBadRequest)
			return
		}
		decision, err := ask(g.Request.Context(), client, c.OPA, inputs[n])
		if err == nil {
			err = stream.XAdd(g.Request.Context(), &redis.XAddArgs{Stream: "assembly", Values: []any{"question", question, "decision", decision}}).Err()
		}
		var signed string
		if err == nil {
			var jws *jose.JSONWebSignature
			if jws, err = signer.Sign(decision); err == nil {
				signed, err = jws.DetachedCompactSerialize()
			}
		}
		if err != nil {
			g.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		g.Header("Payload-Signature", signed)
		g.Data(http.StatusOK, "application/json", decision)
	})
	engine.GET("/bench/counts", func(g *gin.Context) { reply(g.Writer, counts{Mallocs: mallocs()}) })
	return serveWhileWanted(engine)
}

func ask(ctx context.Context, client *http.Client, url string, input []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(input))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || len(answer.Result) == 0 {
		return nil, errors.New("opa did not decide")
	}
	return answer.Result, nil
}

func readLines(path string) ([][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out [][]byte
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		out = append(out, bytes.Clone(lines.Bytes()))
	}
	return out, lines.Err()
}
