package jobs

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
)

// UpgradeOffer is what an upgrade to a plan would be.
type UpgradeOffer struct {
	Window platform.Window
	// Next is the opening in which the switch would be if it is ready by then;
	// nil where blackouts cover more than a year.
	Next *platform.Slot
	// AtOnce is an Essential database: it is copied when the upgrade is started,
	// and refuses writes for about Expected.
	AtOnce       bool
	Expected     time.Duration
	ExpectedFrom string
	// Followers says what becomes of each follower.
	Followers []FollowerOutlook
}

// FollowerOutlook is what a switch does to a follower of the database.
type FollowerOutlook struct {
	Name    string
	AppID   int64
	AppName string
	// NewPlan is the plan on which it is re-created, since its own does not hold
	// the data; empty for one that is re-pointed.
	NewPlan string
}

// OfferUpgrade looks whether a database can be upgraded to a plan, without a
// question to its server. The error is a sentence that says why not; a plan
// that does not fit is Invalid at "plan", with the smallest that does.
func (j *Jobs) OfferUpgrade(ctx context.Context, databaseID int64, plan string) (UpgradeOffer, error) {
	var offer UpgradeOffer
	d, err := db.DatabaseByID(ctx, j.Pool, databaseID)
	if err != nil {
		return offer, err
	}
	target, err := j.canUpgrade(ctx, j.Pool, d, plan)
	if err != nil {
		return offer, err
	}
	if reading, err := db.ReadingOf(ctx, j.Pool, d.ID); err != nil {
		return offer, err
	} else if offer.AtOnce = target.Tier.IsShared; offer.AtOnce {
		offer.Expected, offer.ExpectedFrom, err = j.EstimateMove(ctx, reading.DataBytes)
		return offer, err
	}
	now := j.Now()
	calendar, err := db.CalendarFor(ctx, j.Pool, d, 0, now)
	if err != nil {
		return offer, err
	}
	offer.Window = calendar.Window
	if slot, ok := calendar.Next(now); ok {
		offer.Next = &slot
	}
	offer.Followers, err = j.followersOutlook(ctx, d)
	return offer, err
}

func (j *Jobs) followersOutlook(ctx context.Context, d platform.Database) ([]FollowerOutlook, error) {
	followers, err := db.Followers(ctx, j.Pool, d.ID)
	if err != nil {
		return nil, err
	}
	reading, err := db.ReadingOf(ctx, j.Pool, d.ID)
	if err != nil {
		return nil, err
	}
	list := make([]FollowerOutlook, 0, len(followers))
	for _, f := range followers {
		outlook := FollowerOutlook{Name: f.Name, AppID: f.AppID, AppName: f.AppName}
		plan, err := j.Catalogue.Plan(f.Plan)
		if err != nil {
			return nil, err
		}
		if plan.StorageBytes < reading.DataBytes {
			if larger, ok := j.Catalogue.SmallestHolding(plan.Tier.Name, reading.DataBytes); ok {
				outlook.NewPlan = larger.Name
			}
		}
		list = append(list, outlook)
	}
	return list, nil
}
