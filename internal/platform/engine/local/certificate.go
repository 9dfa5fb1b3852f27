package local

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"changeover/internal/platform"
)

const (
	certificateLife  = 10 * 365 * 24 * time.Hour
	certificateRenew = 365 * 24 * time.Hour // a start with less left makes a new one
)

// authority is our own CA, made once under Home/ca.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// CertificateAuthority is the PEM of the CA that signs every server's
// certificate, for clients that want sslmode=verify-full.
func (e *Engine) CertificateAuthority() ([]byte, error) {
	if _, err := e.authority(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(e.config.Home, "ca", "ca.crt"))
}

func (e *Engine) authority() (authority, error) {
	dir := filepath.Join(e.config.Home, "ca")
	if a, err := readAuthority(dir); err == nil || !errors.Is(err, os.ErrNotExist) {
		return a, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template, err := certificateTemplate("Changeover CA")
	if err != nil {
		return authority{}, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return authority{}, err
	}
	keyPEM, err := privateKeyPEM(key)
	if err != nil {
		return authority{}, err
	}
	// Made whole under another name: two servers made at the same moment, or a
	// crash in between, must not leave a key without its certificate.
	temp, err := os.MkdirTemp(e.config.Home, "ca-")
	if err != nil {
		return authority{}, err
	}
	defer os.RemoveAll(temp)
	err = errors.Join(
		os.WriteFile(filepath.Join(temp, "ca.key"), keyPEM, 0o600),
		os.WriteFile(filepath.Join(temp, "ca.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.Chmod(temp, 0o755), syncTree(temp))
	if err != nil {
		return authority{}, err
	}
	if err := os.Rename(temp, dir); err != nil && !exists(filepath.Join(dir, "ca.crt")) {
		return authority{}, err
	}
	return readAuthority(dir)
}

func readAuthority(dir string) (authority, error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return authority{}, err
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		return authority{}, err
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return authority{}, platform.Unavailable(nil, "The certificate authority in %s cannot be read. Put its files back from a backup, or remove the directory to have a new one made.", dir)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return authority{}, err
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return authority{}, err
	}
	return authority{cert: cert, key: key}, nil
}

// writeCertificate gives the server a key and a certificate for its host, if
// it has none of ours that is good for another year. A copied directory keeps
// neither: its key is its leader's.
func (e *Engine) writeCertificate(c cluster) error {
	ca, err := e.authority()
	if err != nil {
		return err
	}
	host := e.Host()
	if certificateIsGood(c, host, ca) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template, err := certificateTemplate("Changeover " + c.name)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return err
	}
	keyPEM, err := privateKeyPEM(key)
	if err != nil {
		return err
	}
	if err := e.writeFile(c.path("server.key"), keyPEM, 0o600); err != nil {
		return err
	}
	return e.writeFile(c.path("server.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

func certificateIsGood(c cluster, host string, ca authority) bool {
	text, err := os.ReadFile(c.path("server.crt"))
	keyText, keyErr := os.ReadFile(c.path("server.key"))
	block, _ := pem.Decode(text)
	keyBlock, _ := pem.Decode(keyText)
	if err != nil || keyErr != nil || block == nil || keyBlock == nil {
		return false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || time.Until(cert.NotAfter) < certificateRenew || cert.Subject.CommonName != "Changeover "+c.name || cert.VerifyHostname(host) != nil {
		return false
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil || !key.PublicKey.Equal(cert.PublicKey) {
		return false
	}
	return cert.CheckSignatureFrom(ca.cert) == nil
}

func certificateTemplate(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife)}, nil
}

func privateKeyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
