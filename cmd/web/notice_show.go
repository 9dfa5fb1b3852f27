package main

import (
	"context"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

func (a *app) noticeView(ctx context.Context, email string, access platform.Access, box mailbox, n db.Notice) (*page.NoticeShow, error) {
	view := &page.NoticeShow{ID: n.ID, Tone: noticeTone(n.Level), Subject: n.Subject, To: email, At: n.At, Body: noticeParts(platform.NoticeText(n.Kind, n.Body)), Read: n.Read,
		URL: box.at(noticePath(n.ID)), MarkURL: box.at(noticePath(n.ID) + "/read"), UnmarkURL: box.at(noticePath(n.ID) + "/unread")}
	var err error
	if n.DatabaseName != "" {
		if view.Database, err = a.linkFor(ctx, access, n.DatabaseName); err != nil {
			return nil, err
		}
	}
	if n.AppName != "" {
		view.App = appLinkFor(access, *n.AppID, n.AppName)
	}
	for _, f := range n.Figures {
		view.Figures = append(view.Figures, component.Figure{Label: f.Label, Value: f.Value, Unit: f.Unit})
	}
	if err := a.fillTold(ctx, access, n, view); err != nil {
		return nil, err
	}
	if n.OperationID != nil {
		view.Acts = append(view.Acts, component.Button{Text: "Open the operation", URL: operationPath(*n.OperationID)})
	}
	if view.Database.URL != "" {
		view.Acts = append(view.Acts, noticeActs(n, access)...)
	}
	return view, nil
}

// fillTold says how the notice left the feed. Whom it was mailed to is shown to
// those who see who has a role on the app.
func (a *app) fillTold(ctx context.Context, access platform.Access, n db.Notice, view *page.NoticeShow) error {
	told, err := db.NoticeToldOf(ctx, a.pool, n.ID)
	if err != nil {
		return err
	}
	if len(told.MailedTo) > 0 {
		view.Told = "feed and mail"
	}
	if access.Admin || n.AppID != nil && access.On(*n.AppID) >= platform.RoleManage {
		for _, address := range told.MailedTo {
			if address != view.To {
				view.Also = append(view.Also, address)
			}
		}
	}
	return nil
}

// noticeActs are the next steps on the database that the notice is about.
func noticeActs(n db.Notice, access platform.Access) []component.Button {
	show := component.Button{Text: "Show the database", URL: databasePath(n.DatabaseName)}
	mayOperate := n.AppID != nil && access.On(*n.AppID) >= platform.RoleOperate
	switch n.Kind {
	case platform.NoticeFollowerHeldUp, platform.NoticeQueriesTerminated:
		return []component.Button{{Text: "Look at the follower's activity", URL: databasePath(n.DatabaseName) + "/activity"}, show}
	case platform.NoticeConnectionsNear:
		acts := []component.Button{{Text: "Look at its activity", URL: databasePath(n.DatabaseName) + "/activity"}}
		if mayOperate {
			acts = append(acts, component.Button{Text: "Change plan", URL: databasePath(n.DatabaseName) + "/change-plan"})
		}
		return acts
	case platform.NoticeStorageNear, platform.NoticeDatabaseFull:
		if mayOperate {
			return []component.Button{{Text: "Change plan", URL: databasePath(n.DatabaseName) + "/change-plan"}, show}
		}
	}
	return []component.Button{show}
}

func noticeTone(level platform.NoticeLevel) component.Tone {
	switch level {
	case platform.NoticeOK:
		return component.ToneOK
	case platform.NoticeWarn:
		return component.ToneWarn
	case platform.NoticeBad:
		return component.ToneBad
	}
	return component.ToneInfo
}

// noticeParts cuts a body into paragraphs. A first sentence of at most four
// words stands bold before its paragraph: "Why. The disk is full." Lines that
// begin with a dash are a list.
func noticeParts(body string) []page.NoticePart {
	var parts []page.NoticePart
	for paragraph := range strings.SplitSeq(body, "\n\n") {
		var part page.NoticePart
		var text []string
		for line := range strings.SplitSeq(strings.TrimSpace(paragraph), "\n") {
			if item, ok := strings.CutPrefix(line, "- "); ok {
				part.Lines = append(part.Lines, item)
			} else if line != "" {
				text = append(text, line)
			}
		}
		if part.Text = strings.Join(text, " "); part.Text == "" && len(part.Lines) == 0 {
			continue
		}
		lead, rest, ok := strings.Cut(part.Text, ". ")
		if ok && len(strings.Fields(lead)) <= 4 && !strings.ContainsAny(lead, "0123456789") {
			part.Lead, part.Text = lead+".", rest
		}
		parts = append(parts, part)
	}
	return parts
}

func firstSentence(body string) string {
	paragraph, _, _ := strings.Cut(body, "\n")
	if sentence, _, ok := strings.Cut(paragraph, ". "); ok {
		return sentence + "."
	}
	return paragraph
}
