package architecture

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// root is the checkout, seen from this package's directory, in which its tests run.
const root = "../.."

// goFile is one source file of ours.
type goFile struct {
	name      string // from the checkout's root
	place     string // the import path without the module's name
	test      bool
	generated bool
	imports   []string
	syntax    *ast.File
}

// sources are all files that belong to the tree: what is built, kept as state
// or hidden does not.
func sources(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err = filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch name {
			case ".git", "bin", "var", "tmp", "test-results":
				return filepath.SkipDir
			}
			return nil
		}
		// In a second worktree .git is a file.
		if entry.Type().IsRegular() && name != ".git" && !strings.HasSuffix(name, ".log") {
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 20 {
		t.Fatalf("only %d files were found; the tests look in the wrong place", len(names))
	}
	return names
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	for _, name := range sources(t) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f := goFile{
			name: name, place: path.Dir(name), syntax: syntax,
			test:      strings.HasSuffix(name, "_test.go"),
			generated: ast.IsGenerated(syntax) || strings.HasSuffix(name, "_templ.go"),
		}
		for _, spec := range syntax.Imports {
			f.imports = append(f.imports, strings.Trim(spec.Path.Value, `"`))
		}
		files = append(files, f)
	}
	return files
}

// text reads a file of the tree; ok is false for one that is not text.
func text(t *testing.T, name string) (content string, ok bool) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data), bytes.IndexByte(data, 0) < 0
}

func TestNoInit(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !f.generated {
				t.Errorf("%s has an init function; build what it builds in main and pass it on", f.name)
			}
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	const most = 400
	for _, name := range sources(t) {
		if !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".templ") || strings.HasSuffix(name, "_templ.go") {
			continue
		}
		content, _ := text(t, name)
		if n := strings.Count(content, "\n"); n > most {
			t.Errorf("%s has %d lines, more than %d: what second thing does it do?", name, n, most)
		}
	}
}

// A program that go build left in the root was committed twice; it is in every
// clone for ever.
func TestNothingLargeIsInTheTree(t *testing.T) {
	const most = 700_000 // the largest is the accessibility checker of the browser tests
	for _, name := range sources(t) {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		} else if info.Size() > most {
			t.Errorf("%s has %d bytes, more than %d; what is built does not belong into the tree", name, info.Size(), most)
		}
	}
}

func TestPackagesAreNamedAfterWhatTheyOwn(t *testing.T) {
	commented := map[string]bool{}
	for _, f := range goFiles(t) {
		switch f.syntax.Name.Name {
		case "util", "utils", "common", "helper", "helpers", "misc", "model", "models", "shared":
			t.Errorf("%s: package %s says nothing about what it owns", f.name, f.syntax.Name.Name)
		}
		commented[f.place] = commented[f.place] || f.syntax.Doc != nil
	}
	for place, ok := range commented {
		if !ok {
			t.Errorf("%s has no package comment; say what it owns and what it must never import", place)
		}
	}
}

func TestExportedNamesAreExplained(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || f.generated || f.syntax.Name.Name == "main" {
			continue
		}
		for _, decl := range f.syntax.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !wellKnown[d.Name.Name] {
					t.Errorf("%s: %s has no comment", f.name, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if name, explained := explainedSpec(spec); name != "" && !explained && d.Doc == nil {
						t.Errorf("%s: %s has no comment", f.name, name)
					}
				}
			}
		}
	}
}

// wellKnown methods say nothing that the interface they meet does not say.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "String": true, "Is": true, "NextRetry": true,
	"Len": true, "Less": true, "Swap": true, "MarshalJSON": true, "UnmarshalJSON": true}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := false
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && !exported {
			exported = id.IsExported()
			return false
		}
		return true
	})
	return exported
}

func explainedSpec(spec ast.Spec) (name string, explained bool) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			return s.Name.Name, s.Doc != nil || s.Comment != nil
		}
	case *ast.ValueSpec:
		for _, id := range s.Names {
			if id.IsExported() {
				return id.Name, s.Doc != nil || s.Comment != nil
			}
		}
	}
	return "", true
}

// What only one machine has must not stand in the tree, and where packages come
// from is the machine's business, not ours.
func TestNothingOfOneMachineIsInTheTree(t *testing.T) {
	forbidden := []string{
		"/wo" + "rk/", "/fa" + "rm/", "/ro" + "ot/", "/tmp/" + "co/", "/ho" + "me/dev",
		"proxy.golang" + ".org", "sum.golang" + ".org", "registry." + "npmjs", "deb." + "debian.org", "security." + "debian.org", "files." + "pythonhosted", "py" + "pi.org",
	}
	for _, name := range sources(t) {
		content, isText := text(t, name)
		if !isText || name == "go.sum" {
			continue
		}
		for i, line := range strings.Split(content, "\n") {
			for _, word := range forbidden {
				if strings.Contains(line, word) {
					t.Errorf("%s:%d names %s", name, i+1, word)
				}
			}
		}
	}
}
