package page

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestWritePages writes every page, to VIEWS_OUT where that is set, to be
// looked at in a browser.
func TestWritePages(t *testing.T) {
	dir := os.Getenv("VIEWS_OUT")
	if dir == "" {
		dir = t.TempDir()
	}
	for name, c := range pages(t) {
		f, err := os.Create(filepath.Join(dir, name+".html"))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Render(context.Background(), f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
