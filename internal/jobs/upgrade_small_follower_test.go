package jobs_test

import (
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// The data has outgrown a follower's plan by the time of an upgrade: it is made
// anew on the smallest plan that holds it, under its name.
func TestFollowerThatIsTooSmallIsMadeAnewByAnUpgrade(t *testing.T) {
	t.Parallel()
	small := int64(12 << 20)
	h := newHouse(t, func(h *house) {
		h.catalogue = func(c *platform.Catalogue) {
			for i := range c.Plans {
				if c.Plans[i].Name == "standard-0" {
					c.Plans[i].StorageBytes = small
				}
			}
		}
	})
	h.scale()
	leader := h.leader("standard-2")
	follower := h.follower(leader, "standard-0")
	h.fillRows(leader, 2*small)
	b := h.openBook()
	op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-3", When: jobs.UpgradeAtOnce})
	op = h.ended(op, err, platform.OperationCompleted)
	moves, err := db.FollowerMoves(t.Context(), h.pool, op.ID)
	if err != nil || len(moves) != 1 || moves[0].RecreationID == nil {
		t.Fatalf("the follower: %+v (%v)", moves, err)
	}
	anew := h.ended(platform.Operation{ID: *moves[0].RecreationID}, nil, platform.OperationCompleted)
	b.close("at the end")
	h.upgraded(op, "standard-3")
	if now := h.database(follower.ID); now.Name != follower.Name || now.Plan != "standard-2" || *now.ServerID == *follower.ServerID {
		t.Errorf("it is not made anew on standard-2: %+v", now)
	}
	if notice := h.noticeOf(anew, "follower_recreated"); !strings.Contains(notice, "standard-2") {
		t.Errorf("the notice says %q", notice)
	}
	h.followsNow(h.database(follower.ID))
	h.inOrder("at the end")
}
