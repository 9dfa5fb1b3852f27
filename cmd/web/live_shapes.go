package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"changeover/views/page"
)

// shapeOf names what of a page is no live fragment. The page carries the one of
// its render and each live message that of now: where they differ, the browser
// asks for the page again, also where the change came in the instant between the
// render and the subscription.
func shapeOf(parts ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%v", parts))
	return hex.EncodeToString(sum[:8])
}

// databaseShape is that of a database's page: attachments and the plot are no
// fragments, and while it is made most parts are left out.
func databaseShape(view page.DatabaseShowView) string {
	return shapeOf(view.State, len(view.Lag.Series), view.Attachments, view.Maintenance.Quiet())
}

// poolShape is that of a pool's page. A switch changes what is no fragment: the
// plot's marks, and the paths of the buttons.
func poolShape(view page.PoolShowView) string {
	return shapeOf(view.DatabaseName, len(view.Waits.Switches))
}
