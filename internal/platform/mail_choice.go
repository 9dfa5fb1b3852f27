package platform

// MailChoice is which notices somebody wants mailed.
type MailChoice string

// The choices.
const (
	MailNone  MailChoice = "none"
	MailNeeds MailChoice = "needs" // those that need a person
	MailAll   MailChoice = "all"
)

// Wants is whether a notice of the level is mailed.
func (c MailChoice) Wants(level NoticeLevel) bool {
	return c == MailAll || c == MailNeeds && level.NeedsPerson()
}

// ParseMailChoice reads a choice's word; anything else is Invalid at field.
func ParseMailChoice(field, word string) (MailChoice, error) {
	switch c := MailChoice(word); c {
	case MailNone, MailNeeds, MailAll:
		return c, nil
	}
	return "", Invalid(field, "Choose which notices are mailed: none, those that need a person, or all.")
}

// MailChoices are somebody's choices: for the apps on which they have a role, by
// that role, and for an administrator for all apps.
type MailChoices struct {
	View, Operate, Manage, Admin MailChoice
}

// DefaultMailChoices hold for who has never chosen: who can act hears of what
// needs somebody to.
func DefaultMailChoices() MailChoices {
	return MailChoices{View: MailNone, Operate: MailNeeds, Manage: MailNeeds, Admin: MailNeeds}
}

// For is the choice that counts for somebody with the access, about a notice
// that these apps see. None counts for who sees none of them.
func (c MailChoices) For(access Access, apps []int64) MailChoice {
	if access.Admin {
		return c.Admin
	}
	most := RoleNone
	for _, id := range apps {
		most = max(most, access.On(id))
	}
	switch most {
	case RoleView:
		return c.View
	case RoleOperate:
		return c.Operate
	case RoleManage:
		return c.Manage
	}
	return MailNone
}
