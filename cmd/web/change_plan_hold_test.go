package main

import (
	"strings"
	"testing"

	"changeover/internal/platform"
)

// A database that no method can change now has a page that says why and what to
// do instead. What cannot be started has no steps, no plans and no button.
func TestChangePlanOfWhatCannotChange(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	v := s.signedIn(t, pagesUser)
	d := seed(t, s)
	d.exec(`update databases set state = 'destroying' where id = $1`, d.essential.ID)
	d.exec(`update databases set state = 'fenced' where id = $1`, d.silent.ID)
	d.exec(`delete from operation_claims where database_id = $1`, d.silent.ID)
	for _, c := range []struct {
		what         string
		database     platform.Database
		why, toDo    string
		act, leadsTo string
	}{
		{"an operation is running", d.switching, "Follower changeover is running", "Wait until it has ended", "hold-operation", operationPath(d.running.ID)},
		{"it is a follower", d.follower, "It is a follower", "Change the plan of its leader " + d.leader.Name, "hold-leader", databasePath(d.leader.Name) + "/change-plan?follower=" + d.follower.Name},
		{"it was replaced", d.fenced, d.replacement.Name + " has taken its place", "Change the plan of " + d.replacement.Name, "hold-replaced", databasePath(d.replacement.Name) + "/change-plan"},
		{"it is fenced", d.silent, "It is fenced", "Unfence it first", "hold-unfence", databasePath(d.silent.Name) + "/unfence"},
		{"it is being destroyed", d.essential, "It is being destroyed", "Create another database", "hold-create", "/databases/new?app=mochi"},
		{"it was destroyed", d.gone, "It was destroyed", "Create another database", "hold-create", "/databases/new?app=larder"},
	} {
		t.Run(c.what, func(t *testing.T) {
			v := *v
			v.t = t
			path := databasePath(c.database.Name) + "/change-plan"
			v.get(path + "?plan=standard-4&method=changeover")
			v.want(200, path)
			hold := v.page.Find(string(id("hold")))
			text := strings.Join(strings.Fields(hold.Text()), " ")
			if !strings.Contains(text, c.why) || !strings.Contains(text, c.toDo) {
				t.Errorf("the page says %q, and should say %q and %q", text, c.why, c.toDo)
			}
			if got := hold.Find(string(id(c.act))).AttrOr("href", ""); got != c.leadsTo {
				t.Errorf("%s leads to %q, want %q", c.act, got, c.leadsTo)
			}
			for _, part := range []string{".steps", ".timeline", "[data-testid=methods]", "[data-testid=plans]", "[data-testid=start]", "[data-testid=start-form]"} {
				if n := v.page.Find("main " + part).Length(); n > 0 {
					t.Errorf("the page has %s, and nothing can be started", part)
				}
			}
		})
	}

	// What was chosen is still chosen when it is looked at again, also after a
	// form that came too late.
	path := databasePath(d.switching.Name)
	v.get(path + "/change-plan?plan=standard-4&method=changeover")
	again := v.page.Find(string(id("hold-again"))).AttrOr("href", "")
	if again != path+"/change-plan?method=changeover&plan=standard-4" {
		t.Errorf("looking again leads to %q", again)
	}
	v.post(path+"/upgrade", map[string][]string{"csrf_token": {v.csrf()}, "plan": {"standard-4"}, "method": {"upgrade"}, "when": {"ready"}})
	v.want(409, path+"/upgrade")
	if again = v.page.Find(string(id("hold-again"))).AttrOr("href", ""); again != path+"/change-plan?method=upgrade&plan=standard-4" {
		t.Errorf("after a form that came too late, looking again leads to %q", again)
	}

	// A plan that does not hold the data: another can be chosen, and the steps of
	// this one are not listed.
	v.get(databasePath(d.leader.Name) + "/change-plan?plan=standard-4")
	if v.page.Find("main .steps, main .timeline").Length() == 0 {
		t.Fatal("the steps of what can be started are not found: this test looks for the wrong part")
	}
	d.exec(`update readings set data_bytes = 3000000000000 where database_id = $1`, d.leader.ID)
	v.get(databasePath(d.leader.Name) + "/change-plan?plan=standard-0")
	if v.page.Find(string(id("no-steps"))).Length() != 1 || v.page.Find("main .steps, main .timeline").Length() != 0 || v.page.Find(string(id("plans"))).Length() != 1 {
		t.Errorf("a plan that is too small: %s", v.text())
	}
}
