package jobs

import (
	"errors"

	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

func isStale(err error) bool { return errors.Is(err, engine.ErrStaleEpoch) }

// allProcedures is every kind of operation, one file each.
func (j *Jobs) allProcedures() map[platform.OperationKind]procedure {
	return map[platform.OperationKind]procedure{
		platform.CreateDatabase:     procedureOf(platform.CreateDatabase, createDatabase, j.newCreateDatabase, nil, (*databaseMaker).ended),
		platform.CreateEssential:    procedureOf(platform.CreateEssential, createEssential, j.newCreateEssential, nil, (*essentialMaker).ended),
		platform.CreateFollower:     procedureOf(platform.CreateFollower, createFollower, j.newCreateFollower, nil, (*followerMaker).ended),
		platform.FollowerChangeover: procedureOf(platform.FollowerChangeover, followerChangeover(j.SwitchDeadline), j.newChangeover, (*changeover).close, (*changeover).ended),
		platform.Unfollow:           procedureOf(platform.Unfollow, unfollow, j.newUnfollower, nil, (*unfollower).ended),
		platform.Promote:            procedureOf(platform.Promote, promote, j.newPromoter, nil, (*promoter).ended),
		platform.FenceDatabase:      procedureOf(platform.FenceDatabase, fence, j.newFencer, nil, (*fencer).ended),
		platform.UnfenceDatabase:    procedureOf(platform.UnfenceDatabase, unfence, j.newFencer, nil, (*fencer).ended),
		platform.SeparateDatabase:   procedureOf(platform.SeparateDatabase, separate, j.newFencer, nil, (*fencer).ended),
		platform.Upgrade:            beginningAgain(procedureOf(platform.Upgrade, upgrade(j.SwitchDeadline), j.newUpgrader, (*upgrader).close, (*upgrader).ended), (*upgrader).beginAgain),
		platform.SwitchBack:         procedureOf(platform.SwitchBack, switchBack(j.SwitchDeadline), j.newUpgrader, (*upgrader).close, (*upgrader).ended),
		platform.DestroyOldServer:   procedureOf(platform.DestroyOldServer, destroyOldServer, j.newOldServerDestroyer, nil, (*oldServerDestroyer).ended),
		platform.UpgradeEssential:   procedureOf(platform.UpgradeEssential, upgradeEssential, j.newMover, (*mover).close, (*mover).ended),
		platform.DropOldDatabase:    procedureOf(platform.DropOldDatabase, dropOldDatabase, j.newOldDatabaseDropper, nil, (*oldDatabaseDropper).ended),
		platform.RecreateFollower:   procedureOf(platform.RecreateFollower, recreateFollower, j.newRecreator, nil, (*recreator).ended),
		platform.DestroyDatabase:    procedureOf(platform.DestroyDatabase, destroy, j.newDestroyer, nil, (*destroyer).ended),
	}
}

// Procedures are the steps of every kind, for the test that compares them with
// their documentation.
func Procedures() map[platform.OperationKind][]workflow.Info {
	j := &Jobs{}
	infos := map[platform.OperationKind][]workflow.Info{}
	for kind, p := range j.allProcedures() {
		infos[kind] = p.Infos()
	}
	return infos
}
