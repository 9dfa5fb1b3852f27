package architecture

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	settingName = regexp.MustCompile(`CHANGEOVER_[A-Z_]*[A-Z]`)
	testName    = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)`")
	link        = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
)

// Every setting that the program reads is explained on the one page of
// settings, and the page explains none that nobody reads.
func TestSettingsPageIsComplete(t *testing.T) {
	page, _ := text(t, "docs/settings.md")
	read := map[string]bool{}
	for _, name := range sources(t) {
		ships := strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "internal/") && !strings.HasPrefix(name, "internal/architecture/")
		builds := name == "Makefile" || strings.HasPrefix(name, "scripts/") || strings.HasPrefix(name, "bench/")
		if !ships && !builds {
			continue
		}
		content, isText := text(t, name)
		if !isText {
			continue
		}
		for _, setting := range settingName.FindAllString(content, -1) {
			read[setting] = true
			if ships && !strings.HasSuffix(name, "_test.go") && !strings.Contains(page, "`"+setting+"`") {
				t.Errorf("%s reads %s, which docs/settings.md does not explain", name, setting)
			}
		}
	}
	for _, setting := range settingName.FindAllString(page, -1) {
		if !read[setting] {
			t.Errorf("docs/settings.md explains %s, which nothing reads", setting)
		}
	}
}

// A document that says "this test proves it" names a test that exists.
func TestDocumentsNameRealTests(t *testing.T) {
	tests := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && f.test {
				tests[fn.Name.Name] = true
			}
		}
	}
	for _, name := range documents(t) {
		content, _ := text(t, name)
		for _, match := range testName.FindAllStringSubmatch(content, -1) {
			if !tests[match[1]] {
				t.Errorf("%s names the test %s, which does not exist", name, match[1])
			}
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, name := range documents(t) {
		content, _ := text(t, name)
		for _, match := range link.FindAllStringSubmatch(content, -1) {
			if strings.Contains(match[1], ":") {
				continue // another site
			}
			if _, err := os.Stat(filepath.Join(root, path.Dir(name), match[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", name, match[1])
			}
		}
	}
}

// Whoever adds a dependency says in docs/architecture.md why it was taken.
func TestDependenciesAreExplained(t *testing.T) {
	page, _ := text(t, "docs/architecture.md")
	mod, _ := text(t, "go.mod")
	inTools := false
	for line := range strings.Lines(mod) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "tool" && fields[1] == "(":
			inTools = true
		case len(fields) > 0 && fields[0] == ")":
			inTools = false
		case inTools && len(fields) == 1:
			if !strings.Contains(page, "`"+fields[0]+"`") {
				t.Errorf("docs/architecture.md does not say why the tool %s was taken", fields[0])
			}
		case len(fields) == 2 && strings.HasPrefix(fields[1], "v"):
			if !strings.Contains(page, "`"+fields[0]+"`") {
				t.Errorf("docs/architecture.md does not say why %s was taken", fields[0])
			}
		}
	}
}

func documents(t *testing.T) []string {
	return slices.DeleteFunc(sources(t), func(name string) bool { return !strings.HasSuffix(name, ".md") })
}
