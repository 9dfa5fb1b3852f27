package architecture

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	noticeRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([^|]+) \\| ([a-z]+) \\| ([^|]+) \\|$")
	noticeID  = regexp.MustCompile(`^Notice[A-Z]\w+$`)
)

// noticeKinds are the constants of the kinds and the rows of the one table of
// them, read from the source.
func noticeKinds(t *testing.T) (constants map[string]string, rows [][4]string) {
	t.Helper()
	constants = map[string]string{}
	for _, f := range goFiles(t) {
		if f.place != "internal/platform" || f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "NoticeKind" {
					constants[n.Names[0].Name] = literal(n.Values[0])
				}
			case *ast.CompositeLit:
				if n.Type == nil && len(n.Elts) == 5 {
					if kind, ok := n.Elts[0].(*ast.Ident); ok && noticeID.MatchString(kind.Name) {
						rows = append(rows, [4]string{kind.Name, literal(n.Elts[2]), n.Elts[3].(*ast.Ident).Name, literal(n.Elts[4])})
					}
				}
			}
			return true
		})
	}
	if len(constants) < 30 {
		t.Fatalf("only %d kinds of notice were found; the test looks in the wrong place", len(constants))
	}
	return constants, rows
}

func literal(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		return strings.Trim(lit.Value, `"`)
	}
	return ""
}

// Every kind has its row, with words, and something that ships writes it.
// Nothing writes one that the table does not have.
func TestEveryKindOfNoticeIsWritten(t *testing.T) {
	constants, rows := noticeKinds(t)
	inTable := map[string]bool{}
	for _, row := range rows {
		if inTable[row[0]] || row[1] == "" || row[3] == "" {
			t.Errorf("platform.NoticeKinds has %s twice, or without a title or without what it means", row[0])
		}
		inTable[row[0]] = true
	}
	written := map[string]bool{}
	for _, f := range goFiles(t) {
		if f.test || f.place != "internal/jobs" && f.place != "cmd/web" && f.place != "internal/db" {
			continue
		}
		writes := false
		var used []string
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				used = append(used, n.Sel.Name)
			case *ast.CallExpr:
				writes = writes || slices.Contains([]string{"CreateNotice", "notify", "noticeOf"}, called(n))
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Kind" && literal(n.Value) != "" && slices.Contains(valuesOf(constants), literal(n.Value)) {
					t.Errorf("%s writes the kind %s as text; use the constant of platform", f.name, literal(n.Value))
				}
			}
			return true
		})
		if writes {
			for _, name := range used {
				written[name] = true
			}
		}
	}
	for name, kind := range constants {
		if !inTable[name] {
			t.Errorf("platform.NoticeKinds has no row of %s (%s)", name, kind)
		}
		if !written[name] {
			t.Errorf("nothing writes a notice of the kind %s (platform.%s): take it out of the table, or write it", kind, name)
		}
	}
}

func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func valuesOf(m map[string]string) (values []string) {
	for _, v := range m {
		values = append(values, v)
	}
	return values
}

// docs/notices.md has exactly the kinds of the table, with the same words.
func TestNoticesPageHasEveryKind(t *testing.T) {
	constants, rows := noticeKinds(t)
	page, _ := text(t, "docs/notices.md")
	levels := map[string]string{"NoticeOK": "ok", "NoticeInfo": "info", "NoticeWarn": "warn", "NoticeBad": "bad"}
	var want []string
	for _, row := range rows {
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", constants[row[0]], row[1], levels[row[2]], row[3]))
	}
	got := noticeRow.FindAllString(page, -1)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("docs/notices.md and platform.NoticeKinds differ. The page should have:\n%s", strings.Join(want, "\n"))
	}
}
