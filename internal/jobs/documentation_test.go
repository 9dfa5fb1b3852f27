package jobs_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// Each procedure has a page whose second-level headings are its steps' titles,
// in order: what the page tells, the timeline shows and the code does.
func TestEveryProcedureHasItsPage(t *testing.T) {
	procedures := jobs.Procedures()
	if len(procedures) == 0 {
		t.Fatal("there are no procedures")
	}
	for kind, steps := range procedures {
		page := filepath.Join("docs", strings.ReplaceAll(string(kind), "_", "-")+".md")
		content, err := os.ReadFile(filepath.Join("..", "..", page))
		if err != nil {
			t.Errorf("the procedure %s has no page %s", kind, page)
			continue
		}
		var titles, headings []string
		for _, step := range steps {
			titles = append(titles, step.Title)
		}
		for line := range strings.Lines(string(content)) {
			if heading, ok := strings.CutPrefix(line, "## "); ok {
				headings = append(headings, strings.TrimSpace(heading))
			}
		}
		if !slices.Equal(headings, titles) {
			t.Errorf("%s has the headings\n  %s\nand the steps are\n  %s", page, strings.Join(headings, " · "), strings.Join(titles, " · "))
		}
	}
}

// A step's name is stored with each operation, so it can never be given twice
// in one procedure; its title is what people read.
func TestStepNamesAreUsable(t *testing.T) {
	for kind, steps := range jobs.Procedures() {
		seen := map[string]bool{}
		noReturn := 0
		for _, step := range steps {
			if step.Name == "" || step.Title == "" || seen[step.Name] {
				t.Errorf("%s: step %q %q is unnamed, untitled, or there twice", kind, step.Name, step.Title)
			}
			seen[step.Name] = true
			if step.NoReturn {
				noReturn++
			}
		}
		if noReturn > 1 {
			t.Errorf("%s has %d points of no return", kind, noReturn)
		}
		switch kind {
		case platform.FollowerChangeover, platform.Upgrade, platform.SwitchBack:
			if noReturn != 1 {
				t.Errorf("%s has no point of no return", kind)
			}
		}
	}
}
