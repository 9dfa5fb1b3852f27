// Package static owns the files that a browser loads: the stylesheet, the
// scripts and the pinned vendor files. It imports only the standard library.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed *.css *.js *.svg vendor
var files embed.FS

// Prefix is the path below which Handler serves.
const Prefix = "/static/"

// Files are the embedded files with their hashes and compressed bodies.
type Files struct {
	urls   map[string]string // name -> URL with the content's hash
	bodies map[string]body   // path below Prefix, with the hash -> body
}

type body struct {
	plain, gzipped []byte
	contentType    string
	hash           string
}

// Load reads and compresses every file once.
func Load() (*Files, error) {
	f := &Files{urls: map[string]string{}, bodies: map[string]body{}}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		hash := hex.EncodeToString(sum[:6])
		ext := path.Ext(name)
		hashed := strings.TrimSuffix(name, ext) + "." + hash + ext
		b := body{plain: data, contentType: contentType(ext), hash: hash}
		if b.gzipped, err = compress(data); err != nil {
			return fmt.Errorf("compress %s: %w", name, err)
		}
		f.urls[name] = Prefix + hashed
		f.bodies[hashed] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	return f, nil
}

// URL is the content-hashed URL of the file called name below static/. An
// unknown name gives a URL that answers 404, so that a test finds it.
func (f *Files) URL(name string) string {
	if u, ok := f.urls[name]; ok {
		return u
	}
	return Prefix + name
}

// GzipSize is how many bytes the file called name weighs when compressed; 0
// for an unknown name.
func (f *Files) GzipSize(name string) int {
	return len(f.bodies[strings.TrimPrefix(f.URL(name), Prefix)].gzipped)
}

// ServeHTTP answers for paths below Prefix. A hashed URL never changes its
// content, so browsers keep it for a year.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, ok := f.bodies[strings.TrimPrefix(r.URL.Path, Prefix)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD.", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", b.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", strconv.Quote(b.hash))
	if r.Header.Get("If-None-Match") == strconv.Quote(b.hash) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	data := b.plain
	if len(b.gzipped) < len(b.plain) && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		data = b.gzipped
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method == http.MethodGet {
		// A browser that went away is not an error of ours.
		_, _ = w.Write(data)
	}
}

func contentType(ext string) string {
	switch ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}

func compress(data []byte) ([]byte, error) {
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zw.Write(data); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
