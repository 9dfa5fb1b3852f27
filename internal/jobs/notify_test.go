package jobs_test

import (
	"slices"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// A notice says what its two positions mean, as the operation's page does.
func TestNoticeSaysWhetherAnythingIsMissing(t *testing.T) {
	end, later := platform.LSN(0x4936BB0), platform.LSN(0x4936BC0)
	for _, of := range []struct {
		name       string
		facts      db.Changeover
		says, lost string
	}{
		{"equal", db.Changeover{OldEndLSN: &end, ForkLSN: &end}, "The old leader's last WAL ends at 0/4936BB0, the new timeline begins at 0/4936BB0. They are equal: nothing acknowledged is missing.", "0"},
		{"not equal", db.Changeover{OldEndLSN: &later, ForkLSN: &end}, "They differ: commits between the two may be missing. Keep the old leader until they are compared.", "not known"},
		{"not read", db.Changeover{OldEndLSN: &end}, "", ""},
	} {
		words := jobs.ProofWords("leader", of.facts)
		if !strings.Contains(words, of.says) || of.says == "" && words != "" {
			t.Errorf("%s: %q", of.name, words)
		}
		at := slices.IndexFunc(jobs.SwitchFigures(of.facts), func(f platform.Figure) bool { return f.Label == "Lost commits" })
		if got := ""; at >= 0 {
			if got = jobs.SwitchFigures(of.facts)[at].Value; got != of.lost {
				t.Errorf("%s: lost commits %q, want %q", of.name, got, of.lost)
			}
		} else if of.lost != "" {
			t.Errorf("%s: lost commits are not told", of.name)
		}
	}
}
