package main

import (
	"fmt"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
)

// databaseStatus is a database's state in words. One whose upgrade waits for its
// window is what its readings say: what comes next stands beside it.
func (a *app) databaseStatus(r db.DatabaseListRow) component.Status {
	d := r.Database
	if r.Operation != nil && !r.Operation.Waits {
		if r.Operation.State == platform.OperationUndoing {
			return component.Status{Tone: component.ToneBack, Word: "Putting back", Note: strings.ToLower(r.Operation.Kind.Title())}
		}
		if d.State != platform.DatabaseCreating && d.State != platform.DatabaseDestroying {
			if r.Operation.NeedsPerson {
				return component.Status{Tone: component.ToneBad, Word: "Needs a person", Note: strings.ToLower(r.Operation.Kind.Title())}
			}
			return component.Status{Tone: component.ToneBusy, Word: r.Operation.Kind.Title(), Note: a.stepNote(r.Operation.Kind, r.Operation.Step)}
		}
	}
	switch d.State {
	case platform.DatabaseCreating:
		if r.Operation == nil {
			return component.Status{Tone: component.ToneBad, Word: "Not created"}
		}
		note := a.stepNote(r.Operation.Kind, r.Operation.Step)
		if r.Reading.CopyTotalBytes > 0 {
			note = fmt.Sprintf("%s of %s copied", platform.Bytes(r.Reading.CopiedBytes), platform.Bytes(r.Reading.CopyTotalBytes))
		}
		return component.Status{Tone: component.ToneBusy, Word: "Creating", Note: note}
	case platform.DatabaseDestroying:
		return component.Status{Tone: component.ToneBusy, Word: "Destroying"}
	case platform.DatabaseDestroyed:
		return component.Status{Tone: component.ToneOff, Word: "Destroyed"}
	case platform.DatabaseFenced:
		note := "takes no writes"
		if d.ReplacedByID != nil {
			note = "replaced, still billed"
		}
		return component.Status{Tone: component.ToneWarn, Word: "Fenced", Note: note}
	}
	switch {
	case r.Reading.Known && !r.Reading.Answers:
		return component.Status{Tone: component.ToneBad, Word: "Does not answer", Note: r.Reading.Problem}
	case d.FullAt != nil:
		return component.Status{Tone: component.ToneWarn, Word: "Full", Note: "refuses what would make it larger"}
	case r.Reading.Problem != "" && d.IsFollower():
		return component.Status{Tone: component.ToneWarn, Word: "Does not follow", Note: r.Reading.Problem}
	case d.IsFollower() && d.ReadableAt == nil:
		return component.Status{Tone: component.ToneBusy, Word: "Catching up"}
	case farBehind(r):
		return component.Status{Tone: component.ToneWarn, Word: "Far behind", Note: "is watched"}
	case d.ForkedFromID != nil && !d.ForkReady:
		return component.Status{Tone: component.ToneOK, Word: "Available", Note: "not to follow yet"}
	}
	return component.Status{Tone: component.ToneOK, Word: "Available"}
}

// farBehind is whether a follower is behind by more than is watched for.
func farBehind(r db.DatabaseListRow) bool {
	return r.Database.IsFollower() && r.Reading.Lag.Known && r.Reading.Lag.Bytes > 1024<<20
}

// stepNote is a step's title below a state: "wait until 0 commits behind".
func (a *app) stepNote(kind platform.OperationKind, step string) string {
	for _, info := range a.jobs.Steps(kind) {
		if info.Name == step && info.Title != "" {
			return strings.ToLower(info.Title[:1]) + info.Title[1:]
		}
	}
	return stepWords(step)
}

// stepWords is a step's stored name for people: "make_cluster" is "make cluster".
func stepWords(name string) string { return strings.ReplaceAll(name, "_", " ") }

// databaseRole is what a database is to the others.
func databaseRole(r db.DatabaseListRow) component.Role {
	d := r.Database
	switch {
	case d.IsFollower():
		return component.Role{Kind: component.RoleFollower, Note: "of " + shortName(r.LeaderName)}
	case d.ReplacedByID != nil:
		return component.Role{Kind: component.RoleReplaced}
	case d.ForkedFromID != nil && r.FollowerCount == 0 && !primary(r):
		return component.Role{Kind: component.RoleFork, Note: "of " + shortName(r.ForkedFrom)}
	}
	role := component.Role{Kind: component.RoleLeader}
	if r.FollowerCount > 0 {
		role.Note = plural(r.FollowerCount, "follower")
	}
	return role
}

// primary is whether the database is some app's DATABASE_URL.
func primary(r db.DatabaseListRow) bool {
	for _, a := range r.Attachments {
		if strings.HasSuffix(a, "::"+platform.PrimaryAttachment) {
			return true
		}
	}
	return false
}

// shortName is an add-on's name without what all of them share.
func shortName(name string) string { return strings.TrimPrefix(name, "postgresql-") }

// shortAttachment is an attachment's name without what all colours share.
func shortAttachment(name string) string { return strings.TrimPrefix(name, "HEROKU_POSTGRESQL_") }

// attachmentOn is the database's name on its own app, when that is not
// DATABASE: "WHITE".
func attachmentOn(r db.DatabaseListRow) string {
	other := ""
	for _, a := range r.Attachments {
		app, name, _ := strings.Cut(a, "::")
		switch {
		case app != r.Database.AppName:
		case name == platform.PrimaryAttachment:
			return ""
		default:
			other = or(other, shortAttachment(name))
		}
	}
	return other
}

// lagOf is a follower's newest lag; nil for what follows nothing, and for a
// follower whose lag was never measured.
func lagOf(d platform.Database, r db.Reading) *platform.Lag {
	if !d.IsFollower() || r.Lag.At.IsZero() && r.Lag.Since.IsZero() {
		return nil
	}
	lag := r.Lag
	return &lag
}

// attention is the sentence about what a person has to do, with the button for
// it; empty where the database goes on by itself.
func attention(r db.DatabaseListRow, plan platform.Plan) (string, component.Button) {
	d := r.Database
	path := databasePath(d.Name)
	look := component.Button{Text: "Look", URL: path}
	waits := r.Operation != nil && r.Operation.Waits
	full := 0.0
	if plan.StorageBytes > 0 {
		full = float64(r.Reading.DataBytes) / float64(plan.StorageBytes)
	}
	switch {
	case r.Operation != nil && r.Operation.NeedsPerson:
		return fmt.Sprintf("%s cannot go on by itself.", r.Operation.Kind.Title()), component.Button{Text: "See why", URL: operationPath(r.Operation.ID)}
	case r.Operation != nil && !waits:
		return "", component.Button{}
	case d.State == platform.DatabaseFenced && d.ReplacedByID != nil:
		return fmt.Sprintf("Another database has taken its place. It is fenced and costs %s until it is destroyed.", monthly(plan)), component.Button{Text: "Destroy…", URL: path + "/destroy", Danger: true}
	case d.State == platform.DatabaseFenced:
		return "It is fenced: nobody can write to it.", component.Button{Text: "Unfence…", URL: path + "/unfence"}
	case d.State == platform.DatabaseAvailable && r.Reading.Known && !r.Reading.Answers:
		return or(r.Reading.Problem, "Its server does not answer."), look
	case d.State == platform.DatabaseAvailable && r.Reading.Problem != "":
		return r.Reading.Problem, look
	case d.FullAt != nil && waits:
		return fmt.Sprintf("It is full: %s of %s. Writes that would make it larger are refused; its maintenance can be run now.", platform.Bytes(r.Reading.DataBytes), platform.Bytes(plan.StorageBytes)), look
	case d.FullAt != nil:
		return fmt.Sprintf("It is full: %s of %s. Writes that would make it larger are refused until there is room again, or a larger plan.", platform.Bytes(r.Reading.DataBytes), platform.Bytes(plan.StorageBytes)), component.Button{Text: "Change plan", URL: path + "/change-plan"}
	case full >= 0.9 && !waits: // a change of plan is on its way
		return fmt.Sprintf("%s of %s are used, %.0f %%. A larger plan holds more.", platform.Bytes(r.Reading.DataBytes), platform.Bytes(plan.StorageBytes), full*100), component.Button{Text: "Change plan", URL: path + "/change-plan"}
	case farBehind(r):
		return fmt.Sprintf("It is %s behind its leader, more than the 1024 MB that are watched for.", platform.Bytes(r.Reading.Lag.Bytes)), component.Button{Text: "Look at activity", URL: path + "#activity"}
	}
	return "", component.Button{}
}

// actRole is the role that the page behind a database's button needs.
func actRole(url string) platform.Role {
	switch verb := url[strings.LastIndexByte(url, '/')+1:]; verb {
	case "destroy", "unfence", "promote", "recreate":
		return platform.RoleManage
	case "change-plan", "new":
		return platform.RoleOperate
	}
	return platform.RoleNone
}

// monthly is a plan's price a month: "$50 a month".
func monthly(p platform.Plan) string { return fmt.Sprintf("$%d a month", p.MonthlyCents/100) }
