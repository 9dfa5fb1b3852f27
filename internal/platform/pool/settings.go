package pool

import (
	"fmt"
	"strconv"
	"strings"
)

// Settings are what PgBouncer's files say.
type Settings struct {
	Host         string // address to listen on
	Port         int    // to listen on
	Sockets      string // the private directory of the console's socket
	Dir          string // of the files named below
	Route        string // the directory in which RouteSocket leads to the server
	DatabaseName string
	RoleName     string
	Size         int // connections to the server
	Clients      int // connections of clients
	// Prepared is whether this PgBouncer keeps track of prepared statements in
	// transaction pooling (1.21 and later).
	Prepared bool
}

// Names of the files in Dir beside the settings.
const (
	SettingsFile    = "pgbouncer.ini"
	SizesFile       = "sizes.ini"
	UsersFile       = "userlist.txt"
	AccessFile      = "access.conf"
	CertificateFile = "server.crt"
	KeyFile         = "server.key"
)

// RoutePort is the port of the server as PgBouncer knows it, whatever it really
// is: a pool reaches its server through a link to that one's socket, RouteSocket
// in the directory Route. Another server takes its place by replacing the link,
// which takes no time. With a RELOAD, which was seen to take 35 to 85 ms on a busy
// machine, clients were refused now and then because "server login has been failing".
const (
	RoutePort   = 1
	RouteSocket = ".s.PGSQL.1"
)

// retryAfter is how many seconds after a server refused a connection another is
// tried; around a pause it is retryAtOnce.
const (
	retryAfter   = 1
	retryAtOnce  = "0.001"
	retrySetting = "server_login_retry"
)

// preparedAtOnce is how many prepared statements of a client are kept track of.
const preparedAtOnce = 200

// Text is pgbouncer.ini. Times are seconds.
//
// A transaction that cannot begin waits two minutes at most: longer than any
// switch may take, shorter than for ever. server_login_retry is 1 so that a
// refused connection to a server that is being replaced is tried again soon
// (safety's figures name a pooler that remembered it for 88 s).
func (s Settings) Text() string {
	var b strings.Builder
	line := func(name string, value any) { fmt.Fprintf(&b, "%s = %v\n", name, value) }
	b.WriteString("; Written by Changeover, and overwritten.\n[databases]\n")
	fmt.Fprintf(&b, "%s = host=%s port=%d dbname=%s\n", s.DatabaseName, s.Route, RoutePort, s.DatabaseName)
	b.WriteString("\n[pgbouncer]\n")
	fmt.Fprintf(&b, "%%include %s/%s\n", s.Dir, SizesFile)
	line("listen_addr", s.Host)
	line("listen_port", s.Port)
	line("unix_socket_dir", s.Sockets)
	line("unix_socket_mode", "0700")
	line("auth_type", "hba")
	line("auth_hba_file", s.Dir+"/"+AccessFile)
	line("auth_file", s.Dir+"/"+UsersFile)
	line("admin_users", AdminRole)
	line("pool_mode", "transaction")
	if s.Prepared {
		line("max_prepared_statements", preparedAtOnce)
	}
	line("client_tls_sslmode", "allow") // who may come without is the access file's to say
	line("client_tls_cert_file", s.Dir+"/"+CertificateFile)
	line("client_tls_key_file", s.Dir+"/"+KeyFile)
	line(retrySetting, retryAfter)
	line("server_connect_timeout", 3)
	line("query_wait_timeout", 120)
	line("ignore_startup_parameters", "extra_float_digits")
	line("log_connections", 0)
	line("log_disconnections", 0)
	return b.String()
}

// Sizes are the settings that follow from the plan, by name. They are in a file
// of their own, and PgBouncer takes new ones without reading everything anew.
func (s Settings) Sizes() [][2]string {
	size, clients := strconv.Itoa(s.Size), strconv.Itoa(s.Clients)
	return [][2]string{{"default_pool_size", size}, {"max_db_connections", size}, {"max_client_conn", clients}}
}

// SizesText is the file of the sizes.
func (s Settings) SizesText() string {
	var b strings.Builder
	for _, size := range s.Sizes() {
		fmt.Fprintf(&b, "%s = %s\n", size[0], size[1])
	}
	return b.String()
}

// Access is who may connect: the app's role over TLS, the program over the
// private socket.
func (s Settings) Access() string {
	var b strings.Builder
	fmt.Fprintf(&b, "local pgbouncer %s trust\n", AdminRole)
	for _, address := range []string{"0.0.0.0/0", "::/0"} {
		fmt.Fprintf(&b, "hostssl %s %s %s scram-sha-256\n", s.DatabaseName, s.RoleName, address)
	}
	return b.String()
}

// Users is the file of users. It holds the verifier that the server has, never
// a password: what a client proves to PgBouncer is enough to prove it to the server.
func (s Settings) Users(verifier string) string {
	return fmt.Sprintf("%q %q\n%q \"\"\n", s.RoleName, verifier, AdminRole)
}
