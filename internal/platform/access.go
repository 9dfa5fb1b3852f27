package platform

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Role is what somebody may do with an app and its databases. Each role may do
// all that the ones before it may. The zero value may not even see the app.
type Role int

const (
	RoleNone    Role = iota // not even to see it
	RoleView                // sees the app, its databases, operations and notices; no secret
	RoleOperate             // also runs it: queries, mode, formation, config vars, followers, changeovers
	RoleManage              // also makes and destroys, attaches, fences, and says who else may
)

// Roles are the roles that can be given, the least first.
func Roles() []Role { return []Role{RoleView, RoleOperate, RoleManage} }

// String is the role's word, as it is stored and shown.
func (r Role) String() string {
	switch r {
	case RoleView:
		return "view"
	case RoleOperate:
		return "operate"
	case RoleManage:
		return "manage"
	}
	return "none"
}

// ParseRole reads a role's word; anything else is Invalid at field "role".
func ParseRole(word string) (Role, error) {
	for _, r := range Roles() {
		if r.String() == word {
			return r, nil
		}
	}
	return RoleNone, Invalid("role", "A role is view, operate or manage. Choose one of them.")
}

// Access is what somebody may see and do. The zero value sees nothing.
type Access struct {
	Admin bool           // may do all on all apps
	Apps  map[int64]Role // by the app's id
}

// Everything is the access of the program itself, and of an administrator.
func Everything() Access { return Access{Admin: true} }

// On is the role on an app.
func (a Access) On(appID int64) Role {
	if a.Admin {
		return RoleManage
	}
	return a.Apps[appID]
}

// OnAll is the least role on the given apps: what touches several needs the
// role on each. Of no app at all only an administrator has one.
func (a Access) OnAll(appIDs ...int64) Role {
	if a.Admin {
		return RoleManage
	}
	if len(appIDs) == 0 {
		return RoleNone
	}
	least := RoleManage
	for _, id := range appIDs {
		least = min(least, a.Apps[id])
	}
	return least
}

// SeesAny is whether one of the apps can be seen; of no app at all only an
// administrator sees one.
func (a Access) SeesAny(appIDs ...int64) bool {
	return a.Admin || slices.ContainsFunc(appIDs, func(id int64) bool { return a.Apps[id] >= RoleView })
}

// AppIDs are the apps with a role, in order; none for an administrator, who
// needs no row.
func (a Access) AppIDs() []int64 {
	ids := make([]int64, 0, len(a.Apps))
	for id, role := range a.Apps {
		if role >= RoleView {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Only is the access cut down to some apps: all that a page about these apps
// can depend on.
func (a Access) Only(appIDs []int64) Access {
	if a.Admin {
		return a
	}
	cut := Access{Apps: map[int64]Role{}}
	for _, id := range appIDs {
		if role := a.Apps[id]; role >= RoleView {
			cut.Apps[id] = role
		}
	}
	return cut
}

// Key is the same for two accesses exactly if they allow the same.
func (a Access) Key() string {
	if a.Admin {
		return "admin"
	}
	var b strings.Builder
	for _, id := range a.AppIDs() {
		b.WriteString(strconv.FormatInt(id, 10) + ":" + a.Apps[id].String() + " ")
	}
	return b.String()
}

// Need is Forbidden with the sentence for somebody who sees the app but whose
// role there is too small; nil where it is enough. givers are those who can
// give the role.
func (r Role) Need(have Role, app string, givers []string) error {
	if have >= r {
		return nil
	}
	has := "you have the role " + have.String() + " there"
	if have == RoleNone {
		has = "you have no role there"
	}
	return Forbidden("This needs the role %s on %s; %s. %s", r, app, has, canGive(givers))
}

// canGive is who gives roles, in words.
func canGive(givers []string) string {
	const most = 3
	switch {
	case len(givers) == 0:
		return "An administrator can give it."
	case len(givers) == 1:
		return fmt.Sprintf("%s or an administrator can give it.", givers[0])
	case len(givers) > most:
		return fmt.Sprintf("%s, others who manage it, or an administrator can give it.", strings.Join(givers[:most], ", "))
	}
	return fmt.Sprintf("%s or an administrator can give it.", strings.Join(givers, ", "))
}
