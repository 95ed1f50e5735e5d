package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/source"
	"github.com/schakel/schakel/broker/source/haalcentraal"
	"github.com/schakel/schakel/broker/source/rest"
)

// config is schakel.yaml. Its comments are the manual; a key that is not here is an error that names it. Relative paths
// are relative to the file.
type config struct {
	// Shard names the municipality this deployment serves: its CBS code, four digits.
	Shard string `yaml:"shard"`
	// Writer names this gateway's own stream of the log. Each gateway of a deployment has another, and keeps it.
	Writer string `yaml:"writer"`
	// Listen is the public listener, host:port.
	Listen string `yaml:"listen"`
	// Audience is the public URL of this deployment: what agencies put in aud of their tokens, and what the htu of their
	// DPoP proofs begins with.
	Audience string `yaml:"audience"`
	// Data is this gateway's own folder: heads/ and the administration socket.
	Data string `yaml:"data"`

	Keys   keysConfig     `yaml:"keys"`
	Redis  redisConfig    `yaml:"redis"`
	TLS    tlsConfig      `yaml:"tls"`
	Limits limitsConfig   `yaml:"limits"`
	Source []sourceConfig `yaml:"sources"`

	Console     consoleConfig     `yaml:"console"`
	Residents   residentsConfig   `yaml:"residents"`
	Checkpoints checkpointsConfig `yaml:"checkpoints"`
	Archive     archiveConfig     `yaml:"archive"`

	// MetricsFrom lists the networks (10.1.0.0/16) that may read /metrics besides this machine. Others get 404.
	MetricsFrom []string `yaml:"metricsFrom"`
}

// keysConfig says where the key ring is. The passphrase comes from a file, or from $SCHAKEL_PASSPHRASE.
type keysConfig struct {
	File           string `yaml:"file"`
	PassphraseFile string `yaml:"passphraseFile"`
}

// redisConfig says how to reach Redis: one address, several of a cluster, or Sentinels and the master's name.
type redisConfig struct {
	Addresses    []string `yaml:"addresses"`
	Master       string   `yaml:"master"`       // name of the master that the Sentinels at Addresses know
	Cluster      bool     `yaml:"cluster"`      // Addresses are nodes of a Redis Cluster
	Username     string   `yaml:"username"`     //
	PasswordFile string   `yaml:"passwordFile"` // or $SCHAKEL_REDIS_PASSWORD
	// SentinelUsername and SentinelPasswordFile are for the Sentinels themselves.
	SentinelUsername     string `yaml:"sentinelUsername"`
	SentinelPasswordFile string `yaml:"sentinelPasswordFile"`
	TLS                  bool   `yaml:"tls"`
	CA                   string `yaml:"ca"`           // roots to trust, PEM; the system's when absent
	WaitReplicas         int    `yaml:"waitReplicas"` // replicas that must hold an event before it counts
}

// tlsConfig is the public listener's. Without a certificate it is plain HTTP, for behind a terminating proxy on the same
// machine only.
type tlsConfig struct {
	Certificate string `yaml:"certificate"` // PEM
	Key         string `yaml:"key"`         // PEM
	ClientCA    string `yaml:"clientCA"`    // roots of client certificates; asks clients for one
	Require     bool   `yaml:"requireClientCertificate"`
}

// consoleConfig is the console's own listener: the web pages of privacy officers. Without Listen there is none. People sign
// in at the organisation's identity provider, over OpenID Connect.
type consoleConfig struct {
	Listen      string `yaml:"listen"`      // host:port, on a network of the organisation
	URL         string `yaml:"url"`         // what browsers call it: https://beleid.example
	Certificate string `yaml:"certificate"` // PEM; without one it is plain HTTP, for behind a proxy that ends TLS
	Key         string `yaml:"key"`         // PEM
	// Proxy says that a proxy which ends TLS stands before a plain Listen that is not on this machine only, and that nothing
	// else can reach it there.
	Proxy bool `yaml:"proxy"`

	Issuer           string                  `yaml:"issuer"` // of the identity provider
	ClientID         string                  `yaml:"clientID"`
	ClientSecretFile string                  `yaml:"clientSecretFile"`
	RolesClaim       string                  `yaml:"rolesClaim"` // claim of the ID token with someone's roles; default roles
	Roles            map[string]console.Role `yaml:"roles"`      // value of that claim to role in the console
}

// check refuses a console that nobody could sign in at, or that would send sessions in clear over a network.
func (c *consoleConfig) check() error {
	if c.Listen == "" {
		return nil
	}
	var missing []string
	for key, value := range map[string]string{"url": c.URL, "issuer": c.Issuer, "clientID": c.ClientID, "clientSecretFile": c.ClientSecretFile} {
		if value == "" {
			missing = append(missing, "console."+key)
		}
	}
	if len(c.Roles) == 0 {
		missing = append(missing, "console.roles")
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("missing: %s", strings.Join(missing, ", "))
	}
	for value, role := range c.Roles {
		if !slices.Contains([]console.Role{console.PrivacyOfficer, console.Jurist, console.FG, console.Auditor}, role) {
			return fmt.Errorf("console.roles.%s: a role is %s, %s, %s or %s", value, console.PrivacyOfficer, console.Jurist, console.FG, console.Auditor)
		}
	}
	if (c.Certificate == "") != (c.Key == "") {
		return fmt.Errorf("console: certificate and key go together")
	}
	if c.Certificate == "" && !c.Proxy && !loopback(c.Listen) {
		return fmt.Errorf("console.listen: plain HTTP here would send sessions in clear over a network; give console.certificate and key, listen on 127.0.0.1, or say console.proxy: true where a proxy that ends TLS stands before it")
	}
	if !strings.HasPrefix(c.URL, "https://") {
		return fmt.Errorf("console.url must begin with https://, also behind a proxy that ends TLS")
	}
	return nil
}

// limitsConfig bounds load. Zero values take the defaults named.
type limitsConfig struct {
	RequestsPerSecond float64       `yaml:"requestsPerSecond"` // per agency; default 50
	Burst             int           `yaml:"burst"`             // default 100
	Connections       int           `yaml:"connections"`       // open at once; the longest idle makes room; default 4096
	SourceTimeout     time.Duration `yaml:"sourceTimeout"`     // default 3s, for each of two rounds of questions
	ShutdownTimeout   time.Duration `yaml:"shutdownTimeout"`   // default 10s, to finish and record what is in flight
	// SnapshotEvery is how many entries of the register a start may have to read one by one: after so many a gateway
	// writes a snapshot of its view beside the log. Default 100000.
	SnapshotEvery int `yaml:"snapshotEvery"`
}

// sourceConfig is the way to one data holder.
type sourceConfig struct {
	Holder   string                      `yaml:"holder"`   // OIN
	Protocol string                      `yaml:"protocol"` // haalcentraal or rest
	Address  string                      `yaml:"address"`  // https://…
	Key      broker.KeyKind              `yaml:"key"`      // rest: bsn or identity
	Fields   map[broker.Field]rest.Field `yaml:"fields"`
	Timeout  time.Duration               `yaml:"timeout"`
	// Certificate and CertificateKey are the client certificate to show; CA the roots to trust (PEM files).
	Certificate    string `yaml:"certificate"`
	CertificateKey string `yaml:"certificateKey"`
	CA             string `yaml:"ca"`
	// HeaderFiles names headers to send, such as an API key, and the file each value stands in.
	HeaderFiles map[string]string `yaml:"headerFiles"`
	// Plaintext permits http to another machine: for a demonstration on a private network only.
	Plaintext bool `yaml:"plaintext"`
}

// readConfig reads and checks a configuration file.
func readConfig(path string) (*config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w; make one after deploy in the README", err)
	}
	c, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	c.resolve(filepath.Dir(path))
	return c, nil
}

// parseConfig reads strictly: unknown and duplicate keys are errors. Its errors show no values, which may be secret.
func parseConfig(data []byte) (*config, error) {
	c := &config{}
	if err := yaml.UnmarshalWithOptions(data, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s", yaml.FormatError(err, false, false))
	}
	var missing []string
	for key, value := range map[string]string{"shard": c.Shard, "writer": c.Writer, "listen": c.Listen,
		"audience": c.Audience, "data": c.Data, "keys.file": c.Keys.File} {
		if value == "" {
			missing = append(missing, key)
		}
	}
	if len(c.Redis.Addresses) == 0 {
		missing = append(missing, "redis.addresses")
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("missing: %s", strings.Join(missing, ", "))
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		return nil, fmt.Errorf("tls: certificate and key go together")
	}
	if c.TLS.Require && c.TLS.ClientCA == "" {
		return nil, fmt.Errorf("tls: requireClientCertificate needs clientCA")
	}
	if !journal.ValidWriter(c.Writer) {
		return nil, fmt.Errorf("writer: use lower case letters, digits and hyphens, such as gw1")
	}
	if c.Writer == adminWriter || c.Writer == importWriter || c.Writer == sealNote {
		return nil, fmt.Errorf("writer: %s is a name that commands write under; choose another, such as gw1", c.Writer)
	}
	if _, err := c.metricsFrom(); err != nil {
		return nil, err
	}
	if err := c.Console.check(); err != nil {
		return nil, err
	}
	if err := c.Residents.check(c.Console.URL); err != nil {
		return nil, err
	}
	c.Checkpoints.defaults()
	if err := c.Checkpoints.check(); err != nil {
		return nil, err
	}
	c.Archive.defaults()
	if err := c.Archive.check(); err != nil {
		return nil, err
	}
	c.Limits.defaults()
	return c, c.Limits.check()
}

// check refuses what would switch a bound off.
func (l *limitsConfig) check() error {
	for name, bad := range map[string]bool{"requestsPerSecond": l.RequestsPerSecond <= 0, "burst": l.Burst <= 0, "connections": l.Connections <= 0,
		"sourceTimeout": l.SourceTimeout <= 0, "shutdownTimeout": l.ShutdownTimeout <= 0,
		"snapshotEvery": l.SnapshotEvery <= 0} {
		if bad {
			return fmt.Errorf("limits.%s must be above zero; leave it out for the default", name)
		}
	}
	return nil
}

func (l *limitsConfig) defaults() {
	l.RequestsPerSecond = cmp.Or(l.RequestsPerSecond, 50)
	l.Burst = cmp.Or(l.Burst, 100)
	l.Connections = cmp.Or(l.Connections, 4096)
	l.SourceTimeout = cmp.Or(l.SourceTimeout, 3*time.Second)
	l.ShutdownTimeout = cmp.Or(l.ShutdownTimeout, 10*time.Second)
	l.SnapshotEvery = cmp.Or(l.SnapshotEvery, 100_000)
}

// resolve makes paths absolute, relative to the file's folder.
func (c *config) resolve(dir string) {
	paths := []*string{&c.Data, &c.Keys.File, &c.Keys.PassphraseFile, &c.Redis.PasswordFile, &c.Redis.SentinelPasswordFile, &c.Redis.CA, &c.TLS.Certificate,
		&c.TLS.Key, &c.TLS.ClientCA, &c.Console.Certificate, &c.Console.Key, &c.Console.ClientSecretFile, &c.Checkpoints.Folder,
		&c.Residents.Certificate, &c.Residents.Key, &c.Residents.ClientSecretFile, &c.Archive.Folder}
	for i := range c.Source {
		s := &c.Source[i]
		paths = append(paths, &s.Certificate, &s.CertificateKey, &s.CA)
		for name, file := range s.HeaderFiles {
			if !filepath.IsAbs(file) {
				s.HeaderFiles[name] = filepath.Join(dir, file)
			}
		}
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// sources makes the way to each configured holder.
func (c *config) sources() (*source.Sources, error) {
	var holders []source.Holder
	for i, s := range c.Source {
		h, err := s.holder()
		if err != nil {
			return nil, fmt.Errorf("sources[%d]: %w", i, err)
		}
		holders = append(holders, h)
	}
	return source.New(holders...)
}

func (s sourceConfig) holder() (source.Holder, error) {
	oin, err := broker.ParseOIN(s.Holder)
	if err != nil {
		return source.Holder{}, fmt.Errorf("holder: %w", err)
	}
	e := source.Endpoint{URL: s.Address, Timeout: s.Timeout, Plaintext: s.Plaintext, Header: map[string]string{}}
	for name, file := range s.HeaderFiles {
		value, err := secretFile(file)
		if err != nil {
			return source.Holder{}, fmt.Errorf("headerFiles %s: %w", name, err)
		}
		e.Header[name] = value
	}
	if s.Certificate != "" || s.CA != "" {
		if e.TLS, err = clientTLS(s.Certificate, s.CertificateKey, s.CA); err != nil {
			return source.Holder{}, err
		}
	}
	var src broker.Source
	switch s.Protocol {
	case "haalcentraal":
		src, err = haalcentraal.New(haalcentraal.Config{Endpoint: e})
	case "rest":
		src, err = rest.New(rest.Config{Endpoint: e, Key: s.Key, Fields: s.Fields})
	default:
		err = fmt.Errorf("protocol must be haalcentraal or rest")
	}
	return source.Holder{OIN: oin, Source: src}, err
}

// metricsFrom gives this machine and the networks of MetricsFrom.
func (c *config) metricsFrom() ([]netip.Prefix, error) {
	out := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for i, s := range c.MetricsFrom {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("metricsFrom[%d]: a network is written as 10.1.0.0/16", i)
		}
		out = append(out, p)
	}
	return out, nil
}

// secretFile reads a secret without its trailing newline. The error names the file, never what stands in it.
func secretFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	return strings.TrimRight(string(data), "\r\n"), err
}

func clientTLS(certificate, key, ca string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if ca != "" {
		pool, err := certPool(ca)
		if err != nil {
			return nil, err
		}
		t.RootCAs = pool
	}
	return t, nil
}

func certPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificates: %s holds no PEM certificate", file)
	}
	return pool, nil
}

// serverTLS makes the listener's TLS configuration; nil for plain HTTP.
func (t tlsConfig) serverTLS() (*tls.Config, error) {
	if t.Certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if t.ClientCA == "" {
		return out, nil
	}
	if out.ClientCAs, err = certPool(t.ClientCA); err != nil {
		return nil, fmt.Errorf("tls: clientCA: %w", err)
	}
	out.ClientAuth = tls.VerifyClientCertIfGiven
	if t.Require {
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return out, nil
}

// options makes the options of the Redis backend.
func (c redisConfig) options(shard string) (redisstream.Config, error) {
	out := redisstream.Config{Addrs: c.Addresses, Cluster: c.Cluster, MasterName: c.Master, Username: c.Username, Shard: shard,
		WaitReplicas: c.WaitReplicas, Password: os.Getenv("SCHAKEL_REDIS_PASSWORD")}
	if c.PasswordFile != "" {
		password, err := secretFile(c.PasswordFile)
		if err != nil {
			return out, fmt.Errorf("redis: passwordFile: %w", err)
		}
		out.Password = password
	}
	out.SentinelUsername = c.SentinelUsername
	if c.SentinelPasswordFile != "" {
		password, err := secretFile(c.SentinelPasswordFile)
		if err != nil {
			return out, fmt.Errorf("redis: sentinelPasswordFile: %w", err)
		}
		out.SentinelPassword = password
	}
	if c.TLS || c.CA != "" {
		t, err := clientTLS("", "", c.CA)
		if err != nil {
			return out, fmt.Errorf("redis: %w", err)
		}
		out.TLS = t
	}
	return out, nil
}
