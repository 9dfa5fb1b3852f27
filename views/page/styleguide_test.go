package page

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every exported component stands in the styleguide, where a picture of it is
// taken in both themes. A new one fails here until it does.
func TestStyleguideShowsEveryComponent(t *testing.T) {
	seenElsewhere := map[string]string{
		"component.CSRFField": "a hidden field",
		"component.HatchDefs": "in every page's frame",
		"component.LagNow":    "inside LagChart",
		"component.WaitNow":   "inside WaitChart",
		"layout.Page":         "around the styleguide itself",
		"layout.Bare":         "around sign-in",
	}
	var guide strings.Builder
	files, err := filepath.Glob("styleguide*.templ")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of the styleguide: %v", err)
	}
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		guide.Write(source)
	}
	exported := regexp.MustCompile(`(?m)^templ ([A-Z]\w*)\(`)
	for _, pkg := range []string{"component", "layout"} {
		files, err := filepath.Glob(filepath.Join("..", pkg, "*.templ"))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, f := range files {
			source, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range exported.FindAllStringSubmatch(string(source), -1) {
				found++
				name := pkg + "." + m[1]
				if seenElsewhere[name] == "" && !strings.Contains(guide.String(), "@"+name+"(") {
					t.Errorf("%s (%s) is not in the styleguide: show it there in each of its states", name, f)
				}
			}
		}
		if found == 0 {
			t.Errorf("no components found in views/%s", pkg)
		}
	}
}

// Every icon that the pages may name is drawn, and stands in the styleguide.
func TestStyleguideShowsEveryIcon(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "component", "icon.templ"))
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^\tIcon\w+ +IconName = "([\w-]+)"`).FindAllStringSubmatch(string(source), -1)
	doc, _ := render(t, pages(t)["styleguide"])
	shown := map[string]bool{}
	for _, s := range doc.Find(".guide-icon").EachIter() {
		shown[strings.TrimSpace(s.Text())] = s.Find("svg").Children().Length() > 0
	}
	if len(names) == 0 {
		t.Fatal("no icons found")
	}
	for _, n := range names {
		if !shown[n[1]] {
			t.Errorf("the icon %s is missing from the styleguide, or has no drawing", n[1])
		}
	}
}
