package page

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"changeover/views/component"
	"changeover/views/layout"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"
)

func render(t *testing.T, c templ.Component) (*goquery.Document, string) {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return doc, b.String()
}

// The rules that hold for every page in every state.
func TestEveryPage(t *testing.T) {
	for name, c := range pages(t) {
		t.Run(name, func(t *testing.T) {
			doc, html := render(t, c)
			if n := doc.Find("[style]").Length(); n > 0 {
				t.Errorf("%d elements have a style attribute, which the content policy refuses", n)
			}
			doc.Find("script").Each(func(_ int, s *goquery.Selection) {
				if s.AttrOr("src", "") == "" || strings.TrimSpace(s.Text()) != "" {
					t.Errorf("an inline script: %.60q", s.Text())
				}
			})
			doc.Find("*").Each(func(_ int, s *goquery.Selection) {
				for _, a := range s.Get(0).Attr {
					if strings.HasPrefix(a.Key, "on") {
						t.Errorf("<%s> has the inline handler %s", goquery.NodeName(s), a.Key)
					}
				}
			})
			if name != "styleguide" {
				if n := doc.Find(".button.primary").Length(); n > 1 {
					t.Errorf("%d filled buttons, want one at most", n)
				}
				ids := map[string]bool{}
				doc.Find("[id]").Each(func(_ int, s *goquery.Selection) {
					id := s.AttrOr("id", "")
					if ids[id] && id != "band-hatch" {
						t.Errorf("the id %q stands twice", id)
					}
					ids[id] = true
				})
			}
			if n := doc.Find("h1").Length(); n != 1 {
				t.Errorf("%d h1, want one", n)
			}
			if doc.Find("main#main").Length() != 1 || doc.Find("a.skip").Length() != 1 {
				t.Error("no main content to skip to")
			}
			if doc.Find("title").Text() == "" {
				t.Error("no title")
			}
			for _, word := range []string{"went wrong", "Oops", "oops", "!<", "! "} {
				if strings.Contains(strings.ReplaceAll(html, "<!DOCTYPE html>", ""), word) {
					t.Errorf("the page says %q", word)
				}
			}
			doc.Find("img, link[href], script[src], use[href]").Each(func(_ int, s *goquery.Selection) {
				for _, attr := range []string{"src", "href"} {
					if u := s.AttrOr(attr, ""); strings.Contains(u, "//") {
						t.Errorf("%s asks another host: %s", goquery.NodeName(s), u)
					}
				}
			})
		})
	}
}

// Every POST carries the session's token: by its own field or by the frame's form.
func TestPostsCarryToken(t *testing.T) {
	for name, c := range pages(t) {
		doc, _ := render(t, c)
		doc.Find("form").Each(func(_ int, s *goquery.Selection) {
			if strings.EqualFold(s.AttrOr("method", "get"), "post") && s.Find("input[name=csrf_token]").Length() != 1 {
				t.Errorf("%s: a form without a token: %s", name, s.AttrOr("action", ""))
			}
		})
		doc.Find("[formaction]").Each(func(_ int, s *goquery.Selection) {
			if s.AttrOr("form", "") != "act" {
				t.Errorf("%s: the button %q belongs to no form", name, s.Text())
			}
		})
	}
}

// A label belongs to every input, and what is wrong is tied to its field.
func TestFormsAreLabelled(t *testing.T) {
	for name, c := range pages(t) {
		doc, _ := render(t, c)
		doc.Find("input:not([type=hidden]), select").Each(func(_ int, s *goquery.Selection) {
			id := s.AttrOr("id", "")
			labelled := s.AttrOr("aria-label", "") != "" || s.AttrOr("aria-hidden", "") != "" || s.ParentsFiltered("label").Length() > 0 || doc.Find(`label[for="`+id+`"]`).Length() > 0
			if !labelled {
				t.Errorf("%s: the input %q has no label", name, s.AttrOr("name", ""))
			}
			if s.AttrOr("aria-invalid", "") == "true" {
				described := strings.Fields(s.AttrOr("aria-describedby", ""))
				found := false
				for _, d := range described {
					found = found || strings.HasPrefix(d, "error-") && doc.Find("#"+d).Length() == 1
				}
				if !found {
					t.Errorf("%s: the refused input %q does not name its error", name, s.AttrOr("name", ""))
				}
			}
		})
	}
}

func TestRefusedFormKeepsWhatWasTyped(t *testing.T) {
	doc, _ := render(t, pages(t)["database-new"])
	if v := doc.Find("input[name=app]").AttrOr("value", ""); v != "Sushi!" {
		t.Errorf("the app field holds %q, want what was typed", v)
	}
	if v := doc.Find("input[name=plan][checked]").AttrOr("value", ""); v != "standard-4" {
		t.Errorf("the chosen plan is %q, want standard-4", v)
	}
	link := doc.Find("[data-testid=error-summary] a").First()
	if target := link.AttrOr("href", ""); target != "#field-app" || doc.Find("input"+target).Length() != 1 {
		t.Errorf("the summary links to %q, want the field", target)
	}
	if doc.Find("#error-app").Length() != 1 {
		t.Error("the error does not stand at its field")
	}
}

func TestPasswordStaysOutOfThePage(t *testing.T) {
	all := pages(t)
	_, html := render(t, all["database"])
	if strings.Contains(html, "hunter2secret") {
		t.Error("the masked page holds the password")
	}
	doc, _ := render(t, all["database-revealed"])
	if got := doc.Find("#connection-url").Text(); got != secretURL {
		t.Errorf("the revealed URL is %q", got)
	}
	app, html := render(t, all["app"])
	if app.Find("[data-testid='value-SECRET_KEY']").Length() != 0 || strings.Contains(html, "hunter2secret") {
		t.Error("a config var's value is shown before it is revealed")
	}
}

func TestChangePlanTellsTheTruth(t *testing.T) {
	doc, _ := render(t, pages(t)["change-plan"])
	for _, key := range []string{"upgrade", "copy"} {
		m := doc.Find("[data-testid=method-" + key + "]")
		if _, disabled := m.Find("input[name=method]").Attr("disabled"); !disabled {
			t.Errorf("%s can be chosen although it does not exist", key)
		}
		if !strings.Contains(m.Text(), "Not available yet") || m.Find("[data-testid=why]").Text() == "" || m.Find("[data-testid=would-help]").Text() == "" {
			t.Errorf("%s does not say why it is not possible and what would make it so", key)
		}
	}
	rows := doc.Find(".method-column").First().Find(".cell").Length()
	doc.Find(".method-column").Each(func(_ int, s *goquery.Selection) {
		if n := s.Find(".cell").Length(); n != rows {
			t.Errorf("a column has %d rows, the labels have %d", n, rows)
		}
	})
	band := doc.Find("[data-testid=band]")
	if band.Length() != 1 || band.Find("[data-testid=no-return]").Length() != 1 {
		t.Error("the band with the point of no return is not drawn once")
	}
	if doc.Find("form[data-testid=start-form] input[name=confirm_jobs]").Length() != 1 {
		t.Error("the scheduled jobs are not asked for")
	}
}

func TestTimelineNamesEveryState(t *testing.T) {
	doc, _ := render(t, pages(t)["operation"])
	if s := doc.Find("[data-testid=step-wait_for_zero]"); s.AttrOr("aria-current", "") != "step" || !strings.Contains(s.Text(), "running now") {
		t.Error("the running step is not marked")
	}
	if got := doc.Find("[data-testid=step-unfollow]").AttrOr("data-state", ""); got != "pending" {
		t.Errorf("unfollow is %q, want pending", got)
	}
	if doc.Find("[data-clock-since]").Length() != 1 {
		t.Error("the refused writes have no clock")
	}
	before := doc.Find("[data-testid=no-return]").Next()
	if got := before.AttrOr("data-testid", ""); got != "step-unfollow" {
		t.Errorf("the point of no return stands before %q", got)
	}
}

func TestDoneOperationShowsItsProof(t *testing.T) {
	doc, _ := render(t, pages(t)["operation-done"])
	if got := doc.Find("[data-testid=outage-ms]").First().Text(); got != "142ms" {
		t.Errorf("the outage is %q", got)
	}
	proof := doc.Find("[data-testid=proof]")
	if proof.AttrOr("data-holds", "") != "true" || strings.Count(proof.Text(), "3A/F2006C28") != 2 {
		t.Errorf("the proof does not show both positions: %q", proof.Text())
	}
	o := sampleOutage()
	o.Proof.ForkPoint = "3A/F2006D00"
	if o.Proof.Holds() {
		t.Error("different positions count as equal")
	}
}

func TestConfirmNamesTheAct(t *testing.T) {
	doc, _ := render(t, pages(t)["confirm-destroy"])
	if got := doc.Find("[data-testid=confirm-button]").Text(); got != "Destroy postgresql-shaped-12345" {
		t.Errorf("the button says %q", got)
	}
	if doc.Find("[data-testid=checks] li").Length() == 0 {
		t.Error("the consequences are not listed")
	}
	refused, _ := render(t, pages(t)["confirm-refused"])
	if refused.Find("[data-testid=confirm-button]").Length() != 0 || refused.Find("[data-testid=refusal] a").Length() != 1 {
		t.Error("a refused act offers its button, or not its way out")
	}
}

// What is shared by all sessions must hold nobody's token.
func TestFragmentsHoldNoToken(t *testing.T) {
	for name, c := range map[string]templ.Component{
		"head": OperationHead(runningView()), "side": OperationSide(runningView()), "verdict": OperationVerdict(undoneView()), "todo": OperationTodo(doneView()),
		"timeline": OperationTimeline(runningView()), "rows": DatabaseRows(sampleDatabases()),
	} {
		if _, html := render(t, c); strings.Contains(html, "csrf") {
			t.Errorf("the fragment %s holds a token", name)
		}
	}
}

// A refused number stands at the row it was typed into, and the summary leads there.
func TestRefusedScaleStaysInItsRow(t *testing.T) {
	v := appView()
	v.FormationForm = component.Form{CSRF: "t", Values: map[string]string{"process": "worker", "quantity": "many"}, Errors: map[string]string{"quantity": "How many is a whole number from 0 to 100."}}
	doc, _ := render(t, AppShow(layout.Frame{Title: "sushi", Asset: asset}, v))
	row := doc.Find("[data-testid=process-worker]")
	if got := row.Find("input[name=quantity]").AttrOr("value", ""); got != "many" {
		t.Errorf("the row holds %q, want what was typed", got)
	}
	if row.Find("#error-quantity").Length() != 1 || doc.Find("#error-quantity").Length() != 1 {
		t.Error("the error does not stand in the row alone")
	}
	link := doc.Find("[data-testid=error-summary] a").AttrOr("href", "")
	if row.Find("input"+link).Length() != 1 || doc.Find(link).Length() != 1 {
		t.Errorf("the summary leads to %q, not to the row's input", link)
	}
	if doc.Find("[data-testid=process-web] input[name=quantity]").AttrOr("value", "") != "2" {
		t.Error("another row has changed")
	}
}

// The page of a switch that pools took part in tells both figures; one that
// waits for pooled transactions names each, with buttons to end it.
func TestPoolsOnAnOperation(t *testing.T) {
	all := pages(t)
	doc, _ := render(t, all["operation-done"])
	if got := doc.Find("[data-testid=figures]").Text(); !strings.Contains(got, "Direct writes refused") || !strings.Contains(got, "Pooled clients waited171ms") {
		t.Errorf("the figures are %q", got)
	}
	doc, _ = render(t, all["operation-pooled"])
	held := doc.Find("[data-testid=pooled-transactions]")
	if got := held.Text(); !strings.Contains(got, "pid 8117, open for 41 s") {
		t.Errorf("held up by %q", got)
	}
	if held.Find("[formaction$='/activity/8117/terminate']").Length() != 1 || held.Find("[data-testid=cancel-pooled]").Length() != 1 {
		t.Error("no button to end the transaction, or none to cancel")
	}
	doc, _ = render(t, all["pool-away"])
	if n := doc.Find("[data-testid=pool-figures] dd").Length(); n != 0 {
		t.Errorf("%d figures of a pool that does not answer", n)
	}
}
