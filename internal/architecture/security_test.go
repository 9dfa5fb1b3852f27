package architecture

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// calls are the calls of pkg.name in a file, by name.
func calls(f goFile, pkg string, visit func(name string, args []ast.Expr)) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if fn, ok := call.Fun.(*ast.SelectorExpr); ok {
			if of, ok := fn.X.(*ast.Ident); ok && of.Name == pkg {
				visit(fn.Sel.Name, call.Args)
			}
		}
		return true
	})
}

// No regular expression is made of what somebody typed: each is written down.
func TestExpressionsAreWrittenDown(t *testing.T) {
	found := 0
	for _, f := range goFiles(t) {
		if f.test || f.generated {
			continue
		}
		calls(f, "regexp", func(name string, args []ast.Expr) {
			if strings.HasPrefix(name, "Quote") || len(args) == 0 {
				return
			}
			found++
			if _, written := args[0].(*ast.BasicLit); !written {
				t.Errorf("%s: regexp.%s of something that is not written there", f.name, name)
			}
		})
	}
	if found < 5 {
		t.Errorf("only %d expressions were found; the test looks in the wrong place", found)
	}
}

// No program is started by a shell, where a name could become a command.
func TestNoShellIsStarted(t *testing.T) {
	shells := []string{"sh", "bash", "dash", "zsh", "env", "su", "sudo", "-c"}
	found := 0
	for _, f := range goFiles(t) {
		if f.test || f.generated || f.place == "internal/db/dbtest" || strings.HasPrefix(f.place, "scripts") || strings.HasPrefix(f.place, "bench") {
			continue
		}
		look := func(_ string, args []ast.Expr) {
			found++
			for _, arg := range args {
				if word, ok := arg.(*ast.BasicLit); ok {
					if text := strings.Trim(word.Value, "`\""); slices.Contains(shells, text[strings.LastIndex(text, "/")+1:]) {
						t.Errorf("%s starts %s", f.name, word.Value)
					}
				}
			}
		}
		calls(f, "exec", look)
		for _, name := range []string{"os", "syscall", "unix"} {
			calls(f, name, func(name string, args []ast.Expr) {
				if name == "StartProcess" || name == "ForkExec" || name == "Exec" {
					look(name, args)
				}
			})
		}
	}
	if found < 5 {
		t.Errorf("only %d starts were found; the test looks in the wrong place", found)
	}
}

// Nothing goes around the escaping of pages, and no script makes code or markup
// of data or keeps any in the browser: the one place that takes markup takes the server's own fragments.
func TestNothingGoesAroundTheEscaping(t *testing.T) {
	raw := regexp.MustCompile(`templ\.Raw\(|template\.(HTML|JS|URL|CSS)\b|"text/template"|templ\.JSUnsafeFuncCall`)
	script := regexp.MustCompile(`\beval\(|new Function\(|document\.write|insertAdjacentHTML|__proto__|\.prototype\b|(local|session)Storage|indexedDB|outerHTML\s*=|set(Timeout|Interval)\(\s*["'` + "`" + `]`)
	// What a script assigns to has a name that is written there: a key that
	// comes from data could be __proto__.
	computed := regexp.MustCompile(`\[[^\]"'\d][^\]]*\]\s*=[^=>]`)
	markup := regexp.MustCompile(`innerHTML\s*=`)
	places := map[string]int{}
	for _, name := range sources(t) {
		mine := strings.HasPrefix(name, "static/") && !strings.HasPrefix(name, "static/vendor/") && strings.HasSuffix(name, ".js")
		page := (strings.HasPrefix(name, "views/") || strings.HasPrefix(name, "cmd/")) && (strings.HasSuffix(name, ".templ") || strings.HasSuffix(name, ".go")) && !strings.HasSuffix(name, "_templ.go")
		if !mine && !page {
			continue
		}
		content, _ := text(t, name)
		if page {
			if found := raw.FindString(content); found != "" {
				t.Errorf("%s has %s", name, found)
			}
			continue
		}
		for _, wrong := range []*regexp.Regexp{script, computed} {
			if found := wrong.FindString(content); found != "" {
				t.Errorf("%s has %s", name, found)
			}
		}
		places[name] = len(markup.FindAllString(content, -1))
	}
	if len(places) < 3 {
		t.Fatalf("only %d scripts were found; the test looks in the wrong place", len(places))
	}
	for name, n := range places {
		want := 0
		if name == "static/live.js" {
			want = 1 // a fragment, into a template that runs nothing
		}
		if n != want {
			t.Errorf("%s takes markup in %d places, want %d", name, n, want)
		}
	}
}
