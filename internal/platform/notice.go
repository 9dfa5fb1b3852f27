package platform

import (
	"slices"
	"strings"
)

// NoticeKind names what a notice tells. It is stored and sent to webhooks:
// never rename one.
type NoticeKind string

// The kinds of notice; NoticeKinds says what each means.
const (
	NoticeDatabaseCreated NoticeKind = "database_created"
	NoticeCreateFailed    NoticeKind = "create_failed"
	NoticeDestroyed       NoticeKind = "destroyed"
	NoticePromoted        NoticeKind = "promoted"
	NoticePromoteFailed   NoticeKind = "promote_failed"
	NoticeFenced          NoticeKind = "fenced"
	NoticeFenceFailed     NoticeKind = "fence_failed"
	NoticeUnfenced        NoticeKind = "unfenced"
	NoticeUnfenceFailed   NoticeKind = "unfence_failed"
	NoticeSeparated       NoticeKind = "separated"
	NoticeSeparateFailed  NoticeKind = "separate_failed"
	NoticeServerRestarted NoticeKind = "server_restarted"

	NoticeFollowerReady        NoticeKind = "follower_ready"
	NoticeFollowerBehind       NoticeKind = "follower_behind"
	NoticeFollowerHeldUp       NoticeKind = "follower_held_up"
	NoticeQueriesTerminated    NoticeKind = "follower_queries_terminated"
	NoticeFollowerRecreated    NoticeKind = "follower_recreated"
	NoticeFollowerNotRecreated NoticeKind = "follower_not_recreated"
	NoticeUnfollowed           NoticeKind = "unfollowed"
	NoticeUnfollowFailed       NoticeKind = "unfollow_failed"

	NoticeMaintenancePreparing NoticeKind = "maintenance_preparing"
	NoticeMaintenanceScheduled NoticeKind = "maintenance_scheduled"
	NoticeMaintenanceMoved     NoticeKind = "maintenance_moved"
	NoticeMaintenanceTomorrow  NoticeKind = "maintenance_tomorrow"
	NoticeMaintenanceStarting  NoticeKind = "maintenance_starting"
	NoticeMaintenanceDone      NoticeKind = "maintenance_done"
	NoticeMaintenanceFailed    NoticeKind = "maintenance_failed"
	NoticeMaintenanceCancelled NoticeKind = "maintenance_cancelled"
	NoticeChangeoverDone       NoticeKind = "changeover_done"
	NoticeChangeoverPutBack    NoticeKind = "changeover_put_back"
	NoticeOldServerDestroyed   NoticeKind = "old_server_destroyed"
	NoticeOldServerKept        NoticeKind = "old_server_kept"

	NoticeStorageNear     NoticeKind = "storage_near"
	NoticeConnectionsNear NoticeKind = "connections_near"
	NoticeDatabaseFull    NoticeKind = "database_full"
	NoticeDatabaseNotFull NoticeKind = "database_not_full"

	NoticeNewPlace   NoticeKind = "new_place"
	NoticeWebhookOff NoticeKind = "webhook_off"
)

// NoticeLevel says how much a notice matters. Warn and bad need a person.
type NoticeLevel string

// The levels.
const (
	NoticeOK   NoticeLevel = "ok"
	NoticeInfo NoticeLevel = "info"
	NoticeWarn NoticeLevel = "warn"
	NoticeBad  NoticeLevel = "bad"
)

// NeedsPerson is whether somebody should look, as the pages, mails and webhooks
// that ask for no more than that understand it.
func (l NoticeLevel) NeedsPerson() bool { return l == NoticeWarn || l == NoticeBad }

// NoticeType is what all notices of a kind have in common.
type NoticeType struct {
	Kind  NoticeKind
	Group string // "Followers"
	Title string // "Follower ready", for filters and the documentation
	// Level is the one that a notice has unless what it tells asks for another.
	Level NoticeLevel
	// Means is what it means for the app, in sentences; a notice shows it where
	// its own text does not say so.
	Means string
}

// Figure is a number of a notice, large on its page.
type Figure struct {
	Label string `json:"label"`          // "Writes refused"
	Value string `json:"value"`          // "138"
	Unit  string `json:"unit,omitempty"` // "ms"
}

// NoticeText is a notice's body with what every notice of its kind means, where
// the body does not say that itself: after why, before what to do.
func NoticeText(kind NoticeKind, body string) string {
	const means, toDo = "What it means. ", "What to do. "
	known, ok := KnownNotice(kind)
	paragraphs := strings.Split(strings.TrimSpace(body), "\n\n")
	at := len(paragraphs)
	for i, p := range paragraphs {
		switch {
		case strings.HasPrefix(p, means):
			ok = false
		case strings.HasPrefix(p, toDo):
			at = i
		}
	}
	if !ok {
		return body
	}
	return strings.Join(slices.Insert(paragraphs, at, means+known.Means), "\n\n")
}

// KnownNotice is what is known of the kind; ok is false for one that is none.
func KnownNotice(kind NoticeKind) (info NoticeType, ok bool) {
	for _, info := range NoticeKinds() {
		if info.Kind == kind {
			return info, true
		}
	}
	return NoticeType{}, false
}
