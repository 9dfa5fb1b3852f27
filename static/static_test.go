package static

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The most that a first page may weigh with everything that it asks for, in
// bytes after gzip; the page itself is counted as 15 kB.
const firstPage = 150_000

func load(t *testing.T) *Files {
	t.Helper()
	f, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFirstPageWeighsLittle(t *testing.T) {
	f, sum := load(t), 15_000
	for _, name := range []string{"app.css", "app.js", "live.js", "plot.js", "passkey.js", "mark.svg", "vendor/idiomorph.min.js", "vendor/uplot.min.js", "vendor/uplot.min.css"} {
		n := f.GzipSize(name)
		if n == 0 {
			t.Errorf("%s is not there", name)
		}
		sum += n
	}
	if sum > firstPage {
		t.Errorf("a page with everything weighs %d bytes after gzip, want %d at most", sum, firstPage)
	}
	t.Logf("a page with everything weighs about %d bytes after gzip", sum)
}

func TestServesHashedFilesForever(t *testing.T) {
	f := load(t)
	get := func(url, encoding string) *http.Response {
		r := httptest.NewRequest(http.MethodGet, url, nil)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		return w.Result()
	}
	url := f.URL("app.css")
	if url == Prefix+"app.css" {
		t.Fatal("the URL holds no hash")
	}
	plain, packed := get(url, ""), get(url, "gzip")
	if plain.StatusCode != 200 || !strings.Contains(plain.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(plain.Header.Get("Content-Type"), "text/css") {
		t.Errorf("got %d, %v", plain.StatusCode, plain.Header)
	}
	if packed.Header.Get("Content-Encoding") != "gzip" {
		t.Error("it is not compressed for those who ask")
	}
	if get(Prefix+"app.css", "").StatusCode != 404 || get(Prefix+"../static.go", "").StatusCode != 404 {
		t.Error("a path without the hash, or outside, is answered")
	}
}

// Whoever changes a vendored file must change its manifest.
func TestVendorIsPinned(t *testing.T) {
	f := load(t)
	var manifest struct {
		Files []struct{ File, Name, Version, Licence, SHA256 string }
	}
	data, err := files.ReadFile("vendor/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"vendor/manifest.json": true, "vendor/LICENCES.txt": true}
	for _, m := range manifest.Files {
		known["vendor/"+m.File] = true
		body, err := files.ReadFile("vendor/" + m.File)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != m.SHA256 {
			t.Errorf("%s is not the pinned one", m.File)
		}
		if m.Name == "" || m.Version == "" || m.Licence == "" {
			t.Errorf("%s has no name, version or licence", m.File)
		}
	}
	for name := range f.urls {
		if strings.HasPrefix(name, "vendor/") && !known[name] {
			t.Errorf("%s is in no manifest", name)
		}
	}
}

// The scripts must live under a policy that refuses inline code, and the
// stylesheet must ask nobody else.
func TestNothingForeign(t *testing.T) {
	f := load(t)
	for _, name := range []string{"app.css", "app.js", "live.js", "plot.js", "passkey.js"} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, f.URL(name), nil))
		body, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"eval(", "new Function", "@import", "https://", "@font-face"} {
			if strings.Contains(string(body), bad) {
				t.Errorf("%s holds %s", name, bad)
			}
		}
	}
}
