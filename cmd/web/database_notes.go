package main

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

// databaseNotes fills in the sentences at the top of the page.
func (a *app) databaseNotes(ctx context.Context, access platform.Access, row db.DatabaseListRow, attachments []platform.Attachment, view *page.DatabaseShowView) error {
	d := row.Database
	view.NoteLinks = map[int]component.Link{}
	add := func(s component.Status, link component.Link) {
		if link.URL != "" && access.On(d.AppID) >= actRole(link.URL) {
			view.NoteLinks[len(view.Notes)] = link
		}
		view.Notes = append(view.Notes, s)
	}
	if d.State == platform.DatabaseFenced {
		s := component.Status{Tone: component.ToneWarn, Word: "Fenced", Note: "It is in recovery on purpose: it can be read, and nobody can write to it, whatever they set."}
		if d.ReplacedByID == nil {
			add(s, component.Link{Text: "Unfence it", URL: databasePath(d.Name) + "/unfence"})
		} else {
			next, err := db.DatabaseByID(ctx, a.pool, *d.ReplacedByID)
			if err != nil {
				return err
			}
			s.Note = fmt.Sprintf("%s has taken its place. It can be read, takes no writes, and costs %s until it is destroyed.", next.Name, monthly(a.plan(d.Plan)))
			show, err := a.linkFor(ctx, access, next.Name)
			if err != nil {
				return err
			}
			add(s, component.Link{Text: "Show it", URL: show.URL})
			add(component.Status{Tone: component.ToneInfo, Word: "Still billed", Note: "Destroy it when nothing reads from it any more."},
				component.Link{Text: "Destroy it", URL: databasePath(d.Name) + "/destroy"})
		}
	}
	if row.Reading.Known && d.State != platform.DatabaseCreating && d.State != platform.DatabaseDestroyed && (row.Operation == nil || row.Operation.Waits) {
		switch {
		case !row.Reading.Answers:
			add(component.Status{Tone: component.ToneBad, Word: "Does not answer", Note: or(row.Reading.Problem, "Its server does not take connections.")}, component.Link{})
		case row.Reading.Problem != "":
			link := component.Link{}
			if d.IsFollower() && recreateRefusal(d) == "" {
				link = component.Link{Text: "Re-create it", URL: databasePath(d.Name) + "/recreate"}
			}
			add(component.Status{Tone: component.ToneWarn, Word: "To look at", Note: row.Reading.Problem}, link)
		}
	}
	if d.State == platform.DatabaseDestroyed {
		add(component.Status{Tone: component.ToneOff, Word: "Destroyed", Note: "Its data is gone and it costs nothing any more. Its history stays."}, component.Link{})
	}
	if len(attachments) == 0 && d.State == platform.DatabaseAvailable {
		add(component.Status{Tone: component.ToneInfo, Word: "Attached to no app", Note: "Whoever uses its URL must be told when it changes."}, component.Link{})
	}
	return nil
}

// dangerItems are the acts of the danger zone, with why one is not offered.
func dangerItems(row db.DatabaseListRow, plan platform.Plan, attachments []platform.Attachment) []page.DangerItem {
	d := row.Database
	path := databasePath(d.Name)
	if d.State == platform.DatabaseDestroyed || d.State == platform.DatabaseDestroying {
		return nil
	}
	busy := ""
	if row.Operation != nil {
		busy = fmt.Sprintf("%s is running. Wait until it has ended.", row.Operation.Kind.Title())
	}
	var items []page.DangerItem
	if d.IsFollower() {
		item := page.DangerItem{Title: "Unfollow", Text: "Makes it writable for good. It stops following and cannot follow again.", Button: "Unfollow…", URL: path + "/unfollow", Refusal: busy, TestID: "unfollow"}
		if busy == "" && d.ReadableAt == nil {
			item.Refusal = "It has not caught up yet. Wait until it can be read."
		}
		items = append(items, item, page.DangerItem{Title: "Re-create", Text: "Copies it from its leader anew and puts the copy in its place. Name, attachments and plan stay.", Button: "Re-create…",
			URL: path + "/recreate", Refusal: or(busy, recreateRefusal(d)), TestID: "recreate"})
	} else {
		items = append(items, page.DangerItem{Title: "Promote", Text: "Makes it the DATABASE_URL of an app. The database before keeps a colour name there.", Button: "Promote…", URL: path + "/promote", Refusal: or(busy, promoteRefusal(d)), TestID: "promote"})
		if d.State == platform.DatabaseFenced {
			item := page.DangerItem{Title: "Unfence", Text: "Lets it take writes again.", Button: "Unfence…", URL: path + "/unfence", Refusal: busy, TestID: "unfence"}
			if d.ReplacedByID != nil {
				item.Refusal = "Another database has taken its place. Two leaders would write past each other."
			}
			items = append(items, item)
			if d.ReplacedByID != nil {
				items = append(items, page.DangerItem{Title: "Make a separate fork", Text: "Makes it a writable database of its own, attached to no app.", Button: "Separate…", URL: path + "/separate", Refusal: busy, TestID: "separate"})
			}
		} else {
			item := page.DangerItem{Title: "Fence", Text: "Makes it refuse every write, for certain. Readers and its followers go on.", Button: "Fence…", URL: path + "/fence", Refusal: busy, TestID: "fence"}
			if plan.Tier.IsShared {
				item.Refusal = "Fencing needs a server of its own: copy the data to a Standard or higher plan for that."
			}
			items = append(items, item)
		}
	}
	items = append(items, page.DangerItem{
		Title: "Destroy this database", Text: "Removes the server and all of its data. This cannot be undone.", Button: "Destroy " + d.Name,
		URL: path + "/destroy", Refusal: or(busy, destroyRefusal(row, attachments)), TestID: "destroy",
	})
	return items
}

// dangerFor is the danger zone as somebody with that role on the app sees it:
// whoever operates the app learns what it would take, a viewer sees none of it.
func dangerFor(may platform.Role, app string, items []page.DangerItem) []page.DangerItem {
	switch may {
	case platform.RoleManage:
		return items
	case platform.RoleOperate:
		for i := range items {
			items[i].Refusal = fmt.Sprintf("It needs the role manage on %s; yours is operate.", app)
		}
		return items
	}
	return nil
}

func promoteRefusal(d platform.Database) string {
	switch {
	case d.State == platform.DatabaseFenced:
		return "It is fenced and would refuse every write of the app."
	case d.State != platform.DatabaseAvailable:
		return "It is not available yet."
	}
	return ""
}

// destroyRefusal is why a database cannot be destroyed now; empty when it can.
func destroyRefusal(row db.DatabaseListRow, attachments []platform.Attachment) string {
	if row.FollowerCount == 1 {
		return "It has a follower. Unfollow or destroy that one first."
	}
	if row.FollowerCount > 1 {
		return fmt.Sprintf("It has %s. Unfollow or destroy them first.", plural(row.FollowerCount, "follower"))
	}
	for _, t := range attachments {
		if t.IsPrimary() {
			return fmt.Sprintf("It is the DATABASE_URL of %s. Promote another database there first, or turn on maintenance mode of %s and detach it.", t.AppName, t.AppName)
		}
	}
	return ""
}
