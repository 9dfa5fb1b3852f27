package platform

import "time"

// App is what uses databases.
type App struct {
	ID            int64
	Name          string
	MaintenanceOn bool
	CreatedAt     time.Time
}

// ConfigVar is one NAME=value of an app. A value that comes from an attachment
// has Attachment set and cannot be edited.
type ConfigVar struct {
	Name       string
	Value      string
	Attachment string
}

// Release is one change of an app's config vars.
type Release struct {
	Number      int
	Description string
	Actor       string
	OperationID *int64
	CreatedAt   time.Time
}

// Process is one row of a formation.
type Process struct {
	Type     string
	Quantity int
}

// Attachment is a database under a name on an app; it sets NAME_URL.
type Attachment struct {
	ID           int64
	AppID        int64
	AppName      string
	DatabaseID   int64
	DatabaseName string
	Name         string // DATABASE, HEROKU_POSTGRESQL_AMBER
	CreatedAt    time.Time
	// PoolID is the connection pool that it goes through; nil for a direct one.
	PoolID   *int64
	PoolPort int // that the pool listens on; 0 for a direct one
}

// IsPooled is whether the attachment goes through a connection pool.
func (a Attachment) IsPooled() bool { return a.PoolID != nil }

// ConfigVarName is the config var that the attachment sets.
func (a Attachment) ConfigVarName() string { return a.Name + "_URL" }

// IsPrimary is whether the attachment is the app's DATABASE_URL.
func (a Attachment) IsPrimary() bool { return a.Name == PrimaryAttachment }

// PrimaryAttachment is the name of the attachment that sets DATABASE_URL.
const PrimaryAttachment = "DATABASE"

// PoolAttachment is the default name of a connection pool attachment. One of
// this name moves along when another database becomes DATABASE_URL.
const PoolAttachment = "DATABASE_CONNECTION_POOL"
