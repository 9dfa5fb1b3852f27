package db

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"changeover/internal/platform"
)

// keyBytes is the length of the key: AES-256.
const keyBytes = 32

// sealVersion is the first byte of everything sealed, so that another form can
// be told apart one day.
const sealVersion = 1

// Sealer encrypts secrets under a key that is not in the control database.
// What it sealed opens only with the same key and for the same context, so a
// sealed value copied into another row is refused. Safe for concurrent use.
type Sealer struct {
	aead cipher.AEAD
	path string // of the key's file, for the sentence; may be empty
}

// NewSealer seals under key, which has 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != keyBytes {
		return nil, fmt.Errorf("the key has %d bytes and must have %d", len(key), keyBytes)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: aead}, nil
}

// LoadSealer reads the key's file at path, or makes it with a random key and
// mode 0600 on first use. Two processes that make it at once get the same key.
func LoadSealer(path string) (*Sealer, error) {
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, platform.Unavailable(err, "The key file %s could not be made. Check that its directory exists and can be written.", path)
		}
		key, err = readKey(path)
	}
	if err != nil {
		return nil, err
	}
	s, err := NewSealer(key)
	if err != nil {
		return nil, platform.Unavailable(err, "The key file %s does not hold a key: it must be exactly %d bytes. Put the right file back from your backup.", path, keyBytes)
	}
	s.path = path
	return s, nil
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, platform.Unavailable(err, "The key file %s cannot be read. Check its owner and its directory's.", path)
	}
	if info.Mode().Perm()&0o027 != 0 {
		return nil, platform.Forbidden("The key file %s can be read or changed by others (mode %04o). Run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, platform.Unavailable(err, "The key file %s cannot be read. Check its owner.", path)
	}
	return key, nil
}

// makeKey writes the whole key beside path and then links it there: nobody
// ever reads half a key, and a key that is already there is never replaced.
func makeKey(path string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	_, err = file.Write(key)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Seal encrypts plaintext for context, which names the row and column that it
// is for ("config_var:7:SECRET").
func (s *Sealer) Seal(plaintext, context string) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		panic("the system's random source failed: " + err.Error())
	}
	sealed := append([]byte{sealVersion}, nonce...)
	return s.aead.Seal(sealed, nonce, []byte(plaintext), []byte(context))
}

// Open decrypts what Seal made for the same context. Another key, another
// context or a changed byte is Unavailable, with what to do.
func (s *Sealer) Open(sealed []byte, context string) (string, error) {
	n := 1 + s.aead.NonceSize()
	if len(sealed) < n || sealed[0] != sealVersion {
		return "", s.wrongKey(errors.New("not sealed by this program"))
	}
	plaintext, err := s.aead.Open(nil, sealed[1:n], sealed[n:], []byte(context))
	if err != nil {
		return "", s.wrongKey(err)
	}
	return string(plaintext), nil
}

func (s *Sealer) wrongKey(err error) error {
	where := "The key"
	if s.path != "" {
		where = "The key file " + s.path
	}
	return platform.Unavailable(err, "%s does not open the secrets in the control database: they were sealed with another key. Put back the key file that belongs to this control database and start again.", where)
}

// CheckSealer opens the newest database's password, if there is one, so that a wrong key is
// found at start and not by the first app that asks.
func CheckSealer(ctx context.Context, q Querier, s *Sealer) error {
	newest, err := value[int64](ctx, q, nil, `select coalesce(max(id), 0) from databases`)
	if err != nil || newest == 0 {
		return err
	}
	_, err = DatabasePassword(ctx, q, s, newest)
	return err
}
