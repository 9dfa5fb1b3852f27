package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// base are the settings of every server that can take another's place, as the
// program that we compare with has them: what they cost is the same for both.
var base = map[string]string{
	"listen_addresses":             "127.0.0.1",
	"ssl":                          "on",
	"wal_level":                    "logical",
	"wal_log_hints":                "on",
	"max_connections":              "540",
	"recovery_init_sync_method":    "syncfs",
	"wal_retrieve_retry_interval":  "100ms",
	"max_standby_streaming_delay":  "-1",
	"password_encryption":          "scram-sha-256",
	"log_line_prefix":              "%m [%p] ",
	"unix_socket_permissions":      "0700",
	"max_slot_wal_keep_size":       "4GB",
	"wal_receiver_status_interval": "1s",
}

// configure appends the settings of base, then the cluster's own places, then
// those of settings; the last one of a name counts.
func (c *Cluster) configure(settings map[string]string) error {
	own := map[string]string{"port": fmt.Sprint(c.Port), "unix_socket_directories": c.Socket}
	var text strings.Builder
	for _, group := range []map[string]string{base, own, settings} {
		for _, name := range slices.Sorted(maps.Keys(group)) {
			fmt.Fprintf(&text, "%s = '%s'\n", name, strings.ReplaceAll(group[name], "'", "''"))
		}
	}
	return c.append("postgresql.conf", text.String())
}

// append adds to a file of the data directory, which stays the unprivileged user's.
func (c *Cluster) append(name, text string) error {
	path := filepath.Join(c.Dir, name)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := c.Own(path); err != nil {
		return err
	}
	return f.Close()
}

// writeCertificate gives the server a key and a certificate that it signs itself.
func (c *Cluster) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(30 * 24 * time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := c.append("server.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))); err != nil {
		return err
	}
	return c.append("server.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
}
