package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pki is a certificate authority of one test.
type pki struct {
	dir  string
	ca   string // PEM file
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newPKI(t *testing.T, dir string) *pki {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &pki{dir: dir, next: 1}
	p.root = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proef"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	p.ca, p.key = p.sign(t, "ca", p.root, nil)
	p.ca += ".pem"
	return p
}

// issue makes a certificate for a server on 127.0.0.1 or a client, and gives the path of its files without .pem and .key.
func (p *pki) issue(t *testing.T, name string) string {
	t.Helper()
	p.next++
	path, _ := p.sign(t, name, &x509.Certificate{SerialNumber: big.NewInt(p.next), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}, p.key)
	return path
}

func (p *pki) sign(t *testing.T, name string, c *x509.Certificate, by *ecdsa.PrivateKey) (string, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, p.root, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.dir, name)
	for file, block := range map[string]*pem.Block{path + ".pem": {Type: "CERTIFICATE", Bytes: der}, path + ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path, key
}

func (p *pki) pool(t *testing.T) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(p.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	return pool
}

// client makes a client that trusts this authority and shows a certificate, unless it is "".
func (p *pki) client(t *testing.T, certificate string) *http.Client {
	t.Helper()
	c := &tls.Config{RootCAs: p.pool(t)}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate+".pem", certificate+".key")
		if err != nil {
			t.Fatal(err)
		}
		// Also where the server's authorities are others, which a client does not do by itself.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	transport := &http.Transport{TLSClientConfig: c}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// server makes the configuration of a server that demands a client certificate.
func (p *pki) server(t *testing.T, certificate string) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certificate+".pem", certificate+".key")
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.pool(t)}
}
