package switching

import (
	"context"
	"net/url"
)

// NewChangeover is the program's side that switches by follower changeovers.
func NewChangeover(p *Product) Side { return &changeover{Product: p} }

// changeover goes from leader to follower and back, each on the other plan.
type changeover struct {
	*Product
	follower Database
	fenced   string // the last leader, until it is destroyed
}

// URLs are the leader's and the follower's.
func (c *changeover) URLs() (leader, follower string) { return c.Leader.URL, c.follower.URL }

// Prepare destroys the old leader of the last switch and makes a follower on
// the other plan.
func (c *changeover) Prepare(ctx context.Context) error {
	if c.fenced != "" {
		if _, err := c.API.Start(ctx, "/databases/"+c.fenced+"/destroy", url.Values{"confirm": {c.App}}); err != nil {
			return err
		}
		c.fenced = ""
	}
	if err := c.WaitUntilFollowable(ctx); err != nil {
		return err
	}
	made, err := c.API.Start(ctx, "/databases/"+c.Leader.Name+"/followers", url.Values{"app": {c.App}, "plan": {Plans[1-c.Plan]}})
	if err != nil {
		return err
	}
	c.follower, err = c.Reveal(ctx, made.Database)
	return err
}

// Switch changes over to the follower.
func (c *changeover) Switch(ctx context.Context) (Outcome, error) {
	done, err := c.API.Start(ctx, "/databases/"+c.Leader.Name+"/changeover",
		url.Values{"follower": {c.follower.Name}, "confirm_jobs": {"true"}})
	if err != nil {
		return Outcome{}, err
	}
	c.fenced, c.Leader, c.follower = c.Leader.Name, c.follower, Database{}
	c.Plan = 1 - c.Plan
	return OutcomeOf(done), nil
}
