package platform

// UpgradePlan says whether a database on from, which holds dataBytes and has
// connections in use, may be upgraded to a plan; from itself renews the
// infrastructure. The error is Invalid at field "plan".
func (c Catalogue) UpgradePlan(from, to Plan, dataBytes int64, connections int) error {
	const essential = "essential"
	switch {
	case from.Tier.Name == essential && to.Tier.Name != essential:
		return Invalid("plan", "An upgrade keeps an Essential database within Essential, and %s is %s. Use copy to move the data to %s, then promote the new database.", to.Name, to.Tier.Title, to.Name)
	case from.Tier.Name != essential && to.Tier.Name == essential:
		return Invalid("plan", "%s is an Essential plan, and an upgrade goes to Standard and higher only. Choose one of those, or use copy to move the data to %s.", to.Name, to.Name)
	case to.StorageBytes < dataBytes:
		return Invalid("plan", "%s holds %s and the data is %s. %s", to.Name, Bytes(to.StorageBytes), Bytes(dataBytes), c.smallestThatFits(to, dataBytes, connections))
	case to.Connections < connections:
		return Invalid("plan", "%s takes %d connections and %d are in use. %s", to.Name, to.Connections, connections, c.smallestThatFits(to, dataBytes, connections))
	}
	return nil
}

// smallestThatFits names the smallest plan of to's tier that does.
func (c Catalogue) smallestThatFits(to Plan, dataBytes int64, connections int) string {
	for _, p := range c.OfTier(to.Tier.Name) {
		if p.StorageBytes >= dataBytes && p.Connections >= connections {
			return "The smallest plan that fits is " + p.Name + "."
		}
	}
	return "No plan of its tier fits."
}
