package platform

import (
	"slices"
	"testing"
)

func TestAccess(t *testing.T) {
	none := Access{}
	some := Access{Apps: map[int64]Role{1: RoleView, 2: RoleManage, 3: RoleNone}}
	all := Everything()
	for _, c := range []struct {
		name     string
		got, has Role
	}{
		{"nothing", none.On(1), RoleNone}, {"of nothing", none.OnAll(), RoleNone}, {"a role", some.On(2), RoleManage},
		{"no role", some.On(3), RoleNone}, {"the least of two", some.OnAll(1, 2), RoleView}, {"one missing", some.OnAll(2, 4), RoleNone},
		{"no app", some.OnAll(), RoleNone}, {"an administrator", all.On(7), RoleManage}, {"an administrator, no app", all.OnAll(), RoleManage},
	} {
		if c.got != c.has {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.has)
		}
	}
	if none.SeesAny(1) || some.SeesAny() || some.SeesAny(3, 4) || !some.SeesAny(4, 1) || !all.SeesAny() {
		t.Error("who sees what is wrong")
	}
	if got := some.AppIDs(); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("apps %v", got)
	}
	if cut := some.Only([]int64{2, 3, 9}); cut.On(1) != RoleNone || cut.On(2) != RoleManage || cut.Key() != "2:manage " {
		t.Errorf("cut to %q", cut.Key())
	}
	if some.Key() != "1:view 2:manage " || none.Key() != "" || all.Only(nil).Key() != "admin" {
		t.Errorf("keys %q %q", some.Key(), none.Key())
	}
}

func TestRoleWords(t *testing.T) {
	for _, r := range Roles() {
		if got, err := ParseRole(r.String()); err != nil || got != r {
			t.Errorf("%s: %s %v", r, got, err)
		}
	}
	for _, word := range []string{"", "none", "Manage", "owner"} {
		if _, err := ParseRole(word); KindOf(err) != KindInvalid {
			t.Errorf("%q: %v", word, err)
		}
	}
	if err := RoleOperate.Need(RoleManage, "sushi", nil); err != nil {
		t.Errorf("refused: %v", err)
	}
	for want, err := range map[string]error{
		"This needs the role operate on sushi; you have the role view there. chef@example.com or an administrator can give it.": RoleOperate.Need(RoleView, "sushi", []string{"chef@example.com"}),
		"This needs the role manage on ramen; you have no role there. An administrator can give it.":                            RoleManage.Need(RoleNone, "ramen", nil),
	} {
		if KindOf(err) != KindForbidden || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
