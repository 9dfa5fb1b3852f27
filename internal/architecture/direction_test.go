// Package architecture holds the rules of the house as tests: who may import
// whom, how long a file may be, what may not stand in the tree, which pages
// must agree with the code. It reads source files only and imports nothing of
// ours.
package architecture

import (
	"strings"
	"testing"
)

// A rule says what the packages of one place may import of ours. Places are
// import paths without the module's name; one that ends in "/..." stands for
// everything below it.
type rule struct {
	place string
	may   []string
	why   string
}

// rules are tried from top to bottom; the first whose place fits holds.
var rules = []rule{
	{"cmd/web", []string{"internal/...", "views/...", "static"}, "the program uses everything"},
	{"views/...", []string{"views/...", "internal/platform"}, "pages know nouns, not tables and not servers"},
	{"static", nil, "files and their addresses, nothing else"},
	{"internal/jobs", []string{"internal/db", "internal/jobs/workflow", "internal/platform", "internal/platform/..."}, "procedures know tables and servers, not pages"},
	{"internal/jobs/workflow", []string{"internal/platform"}, "the step engine knows no databases and no procedures"},
	{"internal/db", []string{"internal/platform"}, "our tables know nouns, not procedures"},
	{"internal/db/dbtest", []string{"internal/db", "internal/platform", "internal/platform/..."}, "the tests' control database"},
	{"internal/platform", nil, "nouns and rules depend on nobody"},
	{"internal/platform/postgres", []string{"internal/platform"}, "SQL for managed servers works with every engine, so it knows none"},
	{"internal/platform/engine", []string{"internal/platform"}, "words between the procedures and every kind of engine"},
	{"internal/platform/...", []string{"internal/platform", "internal/platform/..."}, "technology around the nouns"},
	{"internal/supervise", nil, "it keeps a process running, whatever that does; its worker starts in milliseconds"},
	{"internal/architecture", nil, "it reads files"},
	{"scripts/demo", []string{"bench/program"}, "it drives the built program from outside, as the benchmarks do"},
	{"scripts/screenshots", []string{"bench/program"}, "it photographs the pages of the built program, from outside"},
	{"scripts/...", nil, "tools stand outside"},
	{"bench/pages", []string{"bench/...", "internal/db", "internal/platform", "internal/platform/..."}, "it fills the control database, whose tables internal/db knows"},
	{"bench/...", []string{"bench/...", "internal/platform", "internal/platform/..."}, "benchmarks drive the built program from outside"},
}

// testSupport may be imported by any test, and by nothing that ships. The two
// of bench are servers made by hand and writers that keep a ledger.
var testSupport = []string{"internal/db/dbtest", "internal/platform/platformtest", "internal/platform/mail/mailtest", "bench/cluster", "bench/ledger"}

func TestImportsPointDownwards(t *testing.T) {
	for _, f := range goFiles(t) {
		r, ok := ruleFor(f.place)
		if !ok {
			t.Errorf("%s: no rule says what %s may import; add the package to the rules of this test, and to docs/architecture.md", f.name, f.place)
			continue
		}
		for _, imported := range f.imports {
			place, ours := strings.CutPrefix(imported, "changeover/")
			if !ours || place == f.place {
				continue
			}
			support := fits(place, testSupport)
			switch {
			case support && !f.test && !fits(f.place, append([]string{"bench/..."}, testSupport...)):
				t.Errorf("%s imports %s, which is for tests", f.name, place)
			case !support && !fits(place, r.may):
				t.Errorf("%s: %s may not import %s (%s)", f.name, f.place, place, r.why)
			}
		}
	}
}

// The nouns are used by everything, so they drag nothing along.
func TestPlatformUsesTheStandardLibraryOnly(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.place != "internal/platform" || f.test {
			continue
		}
		for _, imported := range f.imports {
			if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s; internal/platform uses the standard library only", f.name, imported)
			}
		}
	}
}

func ruleFor(place string) (rule, bool) {
	for _, r := range rules {
		if fits(place, []string{r.place}) {
			return r, true
		}
	}
	return rule{}, false
}

func fits(place string, patterns []string) bool {
	for _, p := range patterns {
		below, wild := strings.CutSuffix(p, "...")
		if place == p || wild && strings.HasPrefix(place, below) {
			return true
		}
	}
	return false
}

func TestRulesCanFail(t *testing.T) {
	for _, c := range []struct {
		place, imported string
		may             bool
	}{
		{"views/page", "internal/db", false},
		{"views/page", "internal/platform", true},
		{"views/page", "internal/platform/postgres", false},
		{"internal/db", "internal/jobs", false},
		{"internal/jobs/workflow", "internal/db", false},
		{"internal/jobs", "internal/platform/postgres", true},
		{"internal/platform", "internal/platform/engine", false},
		{"internal/platform/postgres", "internal/platform/engine", false},
		{"internal/platform/engine/local", "internal/platform/engine", true},
		{"internal/platform/engine/local", "internal/jobs", false},
	} {
		r, ok := ruleFor(c.place)
		if !ok || fits(c.imported, r.may) != c.may {
			t.Errorf("%s importing %s: allowed = %v, want %v", c.place, c.imported, fits(c.imported, r.may), c.may)
		}
	}
}
