package architecture

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// What scripts/vulnerabilities.accepted says of echo stays true: the functions that
// believe whoever asks are not called.
func TestAcceptedVulnerabilitiesAreOutOfReach(t *testing.T) {
	accepted, _ := text(t, "scripts/vulnerabilities.accepted")
	for line := range strings.Lines(accepted) {
		number, why, _ := strings.Cut(strings.TrimSpace(line), " ")
		if number != "" && number != "#" && (!strings.HasPrefix(number, "GO-") || !strings.Contains(why, "echo")) {
			t.Errorf("%s is accepted, and nothing here holds the reason: %s", number, why)
		}
	}
	methods := []string{"RealIP", "Scheme", "JSONP", "JSONPBlob"}
	used := 0
	for _, f := range goFiles(t) {
		if f.test || f.generated || f.place != "cmd/web" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if fn, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(methods, fn.Sel.Name) {
				t.Errorf("%s calls %s", f.name, fn.Sel.Name)
			}
			return true
		})
		calls(f, "middleware", func(name string, _ []ast.Expr) {
			if used++; name != "GzipWithConfig" {
				t.Errorf("%s uses echo's middleware.%s: see scripts/vulnerabilities.accepted", f.name, name)
			}
		})
		for _, fn := range []string{"Static", "StaticFS", "StaticDirectoryHandler"} {
			calls(f, "e", func(name string, _ []ast.Expr) {
				if name == fn {
					t.Errorf("%s serves a directory by echo's %s", f.name, name)
				}
			})
		}
	}
	if used == 0 {
		t.Error("no use of echo's middleware was found; the test looks in the wrong place")
	}
}
