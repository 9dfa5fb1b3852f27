package page

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/platform"
)

// A database that nobody has looked at yet is not said to be silent.
func TestNotLookedAtIsNotSilent(t *testing.T) {
	v := DatabaseShowView{State: platform.DatabaseAvailable}
	if _, html := render(t, DatabaseFactsList(v)); strings.Contains(html, "does not answer") || !strings.Contains(html, "It has not been looked at yet") {
		t.Errorf("nobody has looked yet: %.400s", html)
	}
	v.Facts.UnknownSince, v.Facts.Problem = time.Now(), "Connection refused."
	if _, html := render(t, DatabaseFactsList(v)); !strings.Contains(html, "It does not answer since") || !strings.Contains(html, "Connection refused.") {
		t.Errorf("it is silent: %.400s", html)
	}
}

// A changeover waits for no window, and says so beside its button.
func TestChangeoverSaysWhenItBegins(t *testing.T) {
	v := ChangePlanView{Method: "changeover", Followers: []FollowerPick{{Name: "postgresql-angular-20431", Selected: true}}}
	doc, _ := render(t, changePlanStart(v))
	if said := doc.Find("[data-testid=when-it-begins]").Text(); !strings.Contains(said, "at once, as soon as angular-20431 is no more than 200 commits behind. Writes are refused then.") || strings.Contains(said, "Nothing is refused now") {
		t.Errorf("with a follower: %q", said)
	}
	v.Followers[0].Selected = false
	doc, _ = render(t, changePlanStart(v))
	if said := doc.Find("[data-testid=when-it-begins]").Text(); !strings.Contains(said, "as soon as the new follower has caught up. Writes are refused then.") {
		t.Errorf("with a new follower: %q", said)
	}
}
