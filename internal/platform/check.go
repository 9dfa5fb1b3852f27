package platform

// CheckState is what a preflight check means for the button below it.
type CheckState string

// The states of a check: nothing to say, something to know before going on,
// and something that must be put right first.
const (
	CheckOK   CheckState = "ok"
	CheckKnow CheckState = "know"
	CheckStop CheckState = "stop"
)

// Check is one row of the dry look before a switch. Name is stable (tests and
// pages refer to it), Title is for people; Detail says with figures what was
// found and, where State is CheckStop, what to do.
type Check struct {
	Name   string
	Title  string
	State  CheckState
	Detail string
}
