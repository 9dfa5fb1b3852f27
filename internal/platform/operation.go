package platform

import "time"

// OperationKind names a procedure; it is the file's name in internal/jobs.
type OperationKind string

// The procedures.
const (
	CreateDatabase     OperationKind = "create_database"
	CreateEssential    OperationKind = "create_essential"
	CreateFollower     OperationKind = "create_follower"
	FollowerChangeover OperationKind = "follower_changeover"
	Unfollow           OperationKind = "unfollow"
	Promote            OperationKind = "promote"
	FenceDatabase      OperationKind = "fence"
	UnfenceDatabase    OperationKind = "unfence"
	SeparateDatabase   OperationKind = "separate"
	DestroyDatabase    OperationKind = "destroy"
	Upgrade            OperationKind = "upgrade"
	UpgradeEssential   OperationKind = "upgrade_essential"
	SwitchBack         OperationKind = "switch_back"
	DestroyOldServer   OperationKind = "destroy_old_server"
	DropOldDatabase    OperationKind = "drop_old_database"
	RecreateFollower   OperationKind = "recreate_follower"
)

// Title is the operation's name for people.
func (k OperationKind) Title() string {
	switch k {
	case CreateDatabase, CreateEssential:
		return "Create database"
	case CreateFollower:
		return "Create follower"
	case FollowerChangeover:
		return "Follower changeover"
	case Unfollow:
		return "Unfollow"
	case Promote:
		return "Promote"
	case FenceDatabase:
		return "Fence"
	case UnfenceDatabase:
		return "Unfence"
	case SeparateDatabase:
		return "Make a separate fork"
	case DestroyDatabase:
		return "Destroy"
	case Upgrade, UpgradeEssential:
		return "Upgrade"
	case SwitchBack:
		return "Switch back"
	case DestroyOldServer:
		return "Destroy the old server"
	case DropOldDatabase:
		return "Drop the old database"
	case RecreateFollower:
		return "Re-create follower"
	}
	return string(k)
}

// Switches is whether the procedure is a planned switch, in which writes are
// refused for a moment that is measured.
func (k OperationKind) Switches() bool {
	return k == FollowerChangeover || k == Upgrade || k == UpgradeEssential || k == SwitchBack
}

// OperationState is where an operation stands.
type OperationState string

// The states of an operation. Running and undoing are open: they hold claims
// and somebody must be working on them. Undone is "put back".
const (
	OperationRunning   OperationState = "running"
	OperationUndoing   OperationState = "undoing"
	OperationCompleted OperationState = "completed"
	OperationUndone    OperationState = "undone"
)

// Open is whether the operation still has work to do.
func (s OperationState) Open() bool { return s == OperationRunning || s == OperationUndoing }

// Operation is one change that takes time.
type Operation struct {
	ID         int64
	Kind       OperationKind
	State      OperationState
	DatabaseID int64  // the database it is about (a changeover: the leader)
	TargetID   *int64 // the other database it touches (a changeover: the follower)
	AppID      *int64
	Reason     string // why it waits, was put back, or cannot go on
	// CancelRequestedBy is who asked to cancel; empty while nobody did.
	CancelRequestedBy string
	RequestedBy       string
	RequestedAt       time.Time
	StartedAt         *time.Time
	EndedAt           *time.Time
	// NoReturnAt is when the point of no return was passed.
	NoReturnAt *time.Time
	Attempt    int // 1 for the first run, one more for each retry
	Epoch      int64
	// NeedsPerson is set when it cannot go on by itself and cannot be undone.
	NeedsPerson bool
	// UndoTo is the position of the step from which it begins again once it is
	// put back that far; nil where it is put back as a whole, or not at all.
	UndoTo *int
}

// StepState is where a step of an operation stands.
type StepState string

// The states of a step.
const (
	StepPending StepState = "pending"
	StepRunning StepState = "running"
	StepDone    StepState = "done"
	StepFailed  StepState = "failed"
	StepUndone  StepState = "undone"
	StepKept    StepState = "kept" // its result was deliberately left in place by an undo
)

// OperationStep is one row of an operation's timeline.
type OperationStep struct {
	OperationID int64
	Position    int
	Name        string
	State       StepState
	Detail      string // what it found or why it waits: "3.2 MB behind"
	StartedAt   *time.Time
	FinishedAt  *time.Time
}
