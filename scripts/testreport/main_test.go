package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	pass := `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"pass","Package":"p","Elapsed":0.2}
`
	skipped := `{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: no PostgreSQL 17 here\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
`
	failed := `{"Action":"output","Package":"q","Test":"TestC","Output":"    c_test.go:3: 2 writers\n"}
{"Action":"fail","Package":"q","Test":"TestC","Elapsed":1}
{"Action":"fail","Package":"q","Elapsed":1}
`
	timedOut := `{"Action":"output","Package":"q","Test":"TestD","Output":"waiting for the follower\n"}
{"Action":"output","Package":"q","Output":"panic: test timed out after 20m0s\n"}
{"Action":"fail","Package":"q","Elapsed":1200}
`
	notBuilt := `{"ImportPath":"r","Action":"build-output","Output":"r.go:1: undefined: x\n"}
{"ImportPath":"r","Action":"build-fail"}
{"Action":"fail","Package":"r","Elapsed":0,"FailedBuild":"r"}
`
	for _, c := range []struct {
		name, stream string
		noSkip, want bool
		says         string
	}{
		{"all pass", pass, true, true, "1 passed, 0 failed, 0 skipped."},
		{"a skip is told with its reason", pass + skipped, false, true, "p TestB: no PostgreSQL 17 here\n"},
		{"a skip fails where none is allowed", pass + skipped, true, false, "counts as a failed one"},
		{"a failure shows its output", pass + failed, false, false, "c_test.go:3: 2 writers"},
		{"a timeout names the test that ran", pass + timedOut, false, false, "did not end: q TestD\nwaiting for the follower"},
		{"a failed build shows the compiler's words", pass + notBuilt, false, false, "undefined: x"},
		{"no test at all proves nothing", "", false, false, "No test ran"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var page bytes.Buffer
			r := &report{out: &page, output: map[test][]string{}}
			if err := r.read(strings.NewReader(c.stream)); err != nil {
				t.Fatal(err)
			}
			if got := r.finish(c.noSkip); got != c.want {
				t.Errorf("finish = %v, want %v", got, c.want)
			}
			if !strings.Contains(page.String(), c.says) {
				t.Errorf("the page does not say %q:\n%s", c.says, page.String())
			}
		})
	}
}
