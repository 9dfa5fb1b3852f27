package platform

import "testing"

func TestMailChoices(t *testing.T) {
	c := MailChoices{View: MailNone, Operate: MailNeeds, Manage: MailAll, Admin: MailNeeds}
	access := Access{Apps: map[int64]Role{1: RoleView, 2: RoleOperate, 3: RoleManage}}
	for _, want := range []struct {
		access Access
		apps   []int64
		level  NoticeLevel
		mailed bool
	}{
		{access, []int64{1}, NoticeBad, false},
		{access, []int64{1, 2}, NoticeBad, true},
		{access, []int64{2}, NoticeInfo, false},
		{access, []int64{3, 1}, NoticeOK, true},
		{access, []int64{9}, NoticeBad, false},
		{access, nil, NoticeBad, false},
		{Everything(), nil, NoticeWarn, true},
		{Everything(), []int64{9}, NoticeOK, false},
		{Access{}, []int64{1}, NoticeBad, false},
	} {
		if got := c.For(want.access, want.apps).Wants(want.level); got != want.mailed {
			t.Errorf("%s of %v to %s: mailed %v", want.level, want.apps, want.access.Key(), got)
		}
	}
	if _, err := ParseMailChoice("view", "sometimes"); KindOf(err) != KindInvalid {
		t.Errorf("a choice that is none: %v", err)
	}
}

func TestNoticeText(t *testing.T) {
	means := "What it means. The app writes to the same leader as before."
	for body, want := range map[string]string{
		"A.":                                  "A.\n\n" + means,
		"A.\n\nWhy. B.\n\nWhat to do. C.":     "A.\n\nWhy. B.\n\n" + means + "\n\nWhat to do. C.",
		"A.\n\nWhat it means. Something else": "A.\n\nWhat it means. Something else",
	} {
		if got := NoticeText(NoticeChangeoverPutBack, body); got != want {
			t.Errorf("%q became %q", body, got)
		}
	}
	if got := NoticeText("unknown", "A."); got != "A." {
		t.Errorf("a kind that is none: %q", got)
	}
}
