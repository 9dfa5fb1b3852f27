package platform

import "time"

// CaughtUpCommits is how many commits behind its leader a follower may be and
// still count as caught up (spec 3b).
const CaughtUpCommits = 200

// FollowChoice is one plan offered for a follower, with what speaks against it.
type FollowChoice struct {
	Plan        Plan
	Refusal     string // why it cannot be chosen; empty when it can
	Advice      string // why it is not recommended although it can be chosen
	Recommended bool   // the leader's own plan, or the smallest that can be recommended
}

// CanFollow says whether a database may be followed now (spec 4). leader's
// plan is given since the rules need its tier.
func CanFollow(leader Database, plan Plan, now time.Time) error {
	switch {
	case !plan.Tier.CanFollow:
		return Conflict("%s is on %s, and Essential databases cannot be followed. Copy it to a Standard plan or higher first.", leader.Name, plan.Name)
	case leader.FollowingID != nil:
		return Conflict("%s is itself a follower, and a follower cannot be followed. Follow its leader instead.", leader.Name)
	case leader.State == DatabaseFenced:
		return Conflict("%s is fenced. Unfence it, or follow the database that replaced it.", leader.Name)
	case leader.State == DatabaseDestroyed || leader.State == DatabaseDestroying:
		return Conflict("%s is destroyed. Choose another database to follow.", leader.Name)
	case leader.State != DatabaseAvailable:
		return Conflict("%s is %s and cannot be followed yet. Wait until it is available.", leader.Name, leader.State)
	case !leader.ForkReady:
		return Conflict("Fork/Follow: Temporarily Unavailable. %s is a fresh fork; it can be followed after its first full checkpoint, usually within a few minutes.", leader.Name)
	}
	return nil
}

// FollowerPlan says whether plan may follow a leader on leaderPlan that holds
// dataBytes. The error is Invalid at field "plan".
func (c Catalogue) FollowerPlan(leaderPlan, plan Plan, dataBytes int64) error {
	if !plan.Tier.CanFollow {
		return Invalid("plan", "%s cannot be a follower: Essential plans have none. Choose Standard or higher.", plan.Name)
	}
	if plan.StorageBytes < dataBytes {
		smallest, ok := c.SmallestHolding(plan.Tier.Name, dataBytes)
		if !ok {
			return Invalid("plan", "%s holds %s and the data is %s; no plan of this tier holds it.", plan.Name, Bytes(plan.StorageBytes), Bytes(dataBytes))
		}
		return Invalid("plan", "%s holds %s and the data is %s. The smallest plan that holds it is %s.", plan.Name, Bytes(plan.StorageBytes), Bytes(dataBytes), smallest.Name)
	}
	below := leaderPlan.Position - plan.Position
	if plan.Burstable && below > 1 {
		return Invalid("plan", "%s is burstable and %d plans below %s; a burstable follower may be at most one plan below. Choose %s or larger.",
			plan.Name, below, leaderPlan.Name, c.smallestAllowed(leaderPlan, plan.Tier.Name, dataBytes))
	}
	if below > 4 {
		return Invalid("plan", "%s is %d plans below %s; a follower may be at most four below. Choose %s or larger.",
			plan.Name, below, leaderPlan.Name, c.smallestAllowed(leaderPlan, plan.Tier.Name, dataBytes))
	}
	return nil
}

func (c Catalogue) smallestAllowed(leaderPlan Plan, tier string, dataBytes int64) string {
	for _, p := range c.OfTier(tier) {
		if p.StorageBytes >= dataBytes && leaderPlan.Position-p.Position <= 4 && (!p.Burstable || leaderPlan.Position-p.Position <= 1) {
			return p.Name
		}
	}
	return leaderPlan.Name
}

// FollowerChoices is every Standard-or-higher plan with why it may or may not
// follow, the recommended one marked.
func (c Catalogue) FollowerChoices(leaderPlan Plan, dataBytes int64) []FollowChoice {
	var choices []FollowChoice
	for _, p := range c.Plans {
		if !p.Tier.CanFollow {
			continue
		}
		choice := FollowChoice{Plan: p}
		if err := c.FollowerPlan(leaderPlan, p, dataBytes); err != nil {
			choice.Refusal = err.(*Error).Message
		} else if p.Position < leaderPlan.Position {
			choice.Advice = "Smaller than the leader: it may fall behind under the leader's load."
		}
		choice.Recommended = p.Name == leaderPlan.Name && choice.Refusal == ""
		choices = append(choices, choice)
	}
	return choices
}
