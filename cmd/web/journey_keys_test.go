package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestJourneyWithoutMouse changes a database over from the sign-in link to the
// finished operation with nothing but a keyboard, on the real program.
func TestJourneyWithoutMouse(t *testing.T) {
	if testing.Short() {
		t.Skip("The journey runs real databases; it is left out with -short.")
	}
	findBrowser(t)
	p := runProgram(t)
	// What is changed over is made meanwhile, by a program.
	token := p.run("token", "-email", "program@example.com")
	p.api(token, "/databases", "app=sushi&plan=standard-0")
	leader := p.names(token)[0]

	// Signing in: the skip link is first and leads to the content.
	b := newTab(t, p.url)
	b.open(p.link)
	b.press("Tab")
	b.focusIs(".skip")
	b.await(waitForPage, "the skip link shows", `document.activeElement.getBoundingClientRect().top >= 0`)
	b.press("Enter")
	b.await(waitForPage, "the content has the focus", `document.activeElement.id === "main"`)
	b.tabTo(`[name="password"]`)
	b.typeIn(testPassword)
	b.press("Tab")
	b.focusIs(`[name="password_again"]`)
	b.typeIn(testPassword)
	b.press("Enter")
	b.awaitPath(waitForPage, "/databases")

	// The theme's switch, which the next page remembers.
	b.tabTo(`[data-testid="theme"]`)
	b.press("Enter")
	b.await(waitForPage, "the page is dark", `document.documentElement.dataset.theme === "dark" && getComputedStyle(document.documentElement).backgroundColor === "rgb(16, 20, 24)"`)
	b.open("/plans")
	b.await(waitForPage, "the next page is dark too", `document.documentElement.dataset.theme === "dark"`)
	b.tabTo(`[data-testid="theme"]`)
	b.press("Enter")
	b.await(waitForPage, "the page is light again", `!document.documentElement.dataset.theme && getComputedStyle(document.documentElement).backgroundColor === "rgb(255, 255, 255)"`)

	// The account's menu opens, and closes with the focus back on it.
	b.tabTo("details.account summary")
	b.press("Enter")
	b.await(waitForPage, "the menu is open", `document.querySelector("details.account").open`)
	b.press("Tab")
	b.focusIs(".menu-panel a")
	b.press("Escape")
	b.await(waitForPage, "the menu is closed", `!document.querySelector("details.account").open && document.activeElement.matches("details.account summary")`)

	p.until(token, leader, "available", func(d databaseJSON) bool { return d.State == "available" && d.Operation == nil })
	p.api(token, "/databases/"+leader+"/followers", "plan=standard-2")
	follower := p.names(token)[1]
	if follower == leader {
		follower = p.names(token)[0]
	}
	p.until(token, follower, "readable", func(d databaseJSON) bool { return d.Readable && d.Operation == nil })

	// To the leader by the search.
	b.press("/")
	b.focusIs("#search")
	b.typeIn(leader)
	b.press("Enter")
	b.awaitPath(waitForPage, "/search")
	b.tabTo(fmt.Sprintf(`main a[href="/databases/%s"]`, leader))
	b.press("Enter")
	b.awaitPath(waitForPage, "/databases/"+leader)

	// Live parts leave the focus where it is.
	b.tabTo(fmt.Sprintf(`main a[href="/databases/%s"]`, follower))
	b.await(waitForPage, "three more samples came, and the link still has the focus", fmt.Sprintf(`(() => {
		const at = document.querySelector("#lag-now [data-at]")?.dataset.at;
		const seen = window.seen ??= {link: document.activeElement, times: new Set()};
		if (at) seen.times.add(at);
		return seen.times.size > 3 && seen.link === document.activeElement && seen.link.isConnected && seen.link.matches('a[href="/databases/%s"]');
	})()`, follower))

	// The change: another plan by the arrow keys, the follower chosen by them too.
	b.tabTo(`[data-testid="change-plan"]`)
	b.press("Enter")
	b.awaitPath(waitForPage, "/databases/"+leader+"/change-plan")
	b.tabTo(`input[name="method"]:checked`)
	b.press("ArrowDown")
	b.await(waitForPage, "the method is chosen, and still has the focus", `location.search.includes("method=changeover") && document.activeElement.matches('input[name="method"]:checked')`)
	b.tabTo(`input[name="follower"]:checked`)
	b.press("ArrowDown")
	b.await(waitForPage, "a new follower is chosen, and still has the focus", `location.search.includes("follower=new") && document.activeElement.matches('input[name="follower"]:checked') && document.activeElement.value === "new"`)
	b.press("ArrowUp")
	b.await(waitForPage, "the follower is chosen again", fmt.Sprintf(`location.search.includes(%q) && document.activeElement.matches('input[name="follower"]:checked')`, "follower="+follower))
	b.tabTo(`[data-testid="start"]`)
	b.press("Enter")
	b.await(waitForPage, "the errors have the focus", `document.activeElement.matches(".error-summary")`)
	b.press("Tab")
	b.focusIs(`.error-summary a`)
	b.press("Enter")
	b.focusIs(`[name="confirm_jobs"]`)
	b.press("Space")
	b.await(waitForPage, "the box is ticked", `document.activeElement.checked`)
	b.tabTo(`[data-testid="start"]`)
	b.press("Enter")
	b.awaitPath(waitForPage, "/operations/")

	// Its page, as it is morphed from step to step, keeps the focus as well.
	b.tabTo(`#operation-side a[href="/apps/sushi"]`)
	b.run("remember the link", chromedp.Evaluate[chromedp.Void](`window.link = document.activeElement; undefined`))
	b.await(60*time.Second, "the changeover is completed", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "completed"`, id("operation-state")))
	b.await(waitForPage, "the link still has the focus", `window.link === document.activeElement`)
	b.press("Enter")
	b.awaitPath(waitForPage, "/apps/sushi")
	b.wantNoErrors()
}

// names are the databases that the token's user sees.
func (p *running) names(token string) (names []string) {
	p.t.Helper()
	var list []databaseJSON
	p.read(token, "/databases", &list)
	for _, d := range list {
		names = append(names, d.Name)
	}
	return names
}

// until waits for a database to be as a program can see it.
func (p *running) until(token, name, what string, is func(databaseJSON) bool) {
	p.t.Helper()
	await(p.t, 90*time.Second, name+" is "+what, func() bool {
		var d databaseJSON
		p.read(token, "/databases/"+name, &d)
		return is(d)
	})
}

// read asks as a program with a token does.
func (p *running) read(token, path string, into any) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("GET %s: %d %v", path, answer.StatusCode, err)
	}
}
