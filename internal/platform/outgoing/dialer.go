// Package outgoing owns the way out to every address that a person typed: mail
// servers, issuers of sign-in, webhooks, sources of copies. What was typed is
// parsed and built anew from an allow-list of fields; a name is resolved once
// and what it resolved to is dialled; addresses inside this machine or its
// network are refused unless the installation's settings allow them (safety 5).
// Standard library only; it imports platform for its sentences and nothing else
// of ours.
package outgoing

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"changeover/internal/platform"
)

// Setting is the environment's name of the list that Config.Allow comes from.
const Setting = "CHANGEOVER_OUTGOING_ALLOW"

// dialWithin is how long one address may take to answer.
const dialWithin = 10 * time.Second

// PortRange is a range of ports, both ends included.
type PortRange struct{ From, To int }

// Config is what a Dialer knows of its surroundings.
type Config struct {
	// Allow lifts the refusal of addresses for what it lists.
	Allow Allow
	// OwnPorts are what this program listens on. On any address of this machine
	// they are refused, also where Allow holds the address's network: only an
	// entry of host and port lifts that.
	OwnPorts []PortRange
	// Resolve looks a name up; nil is the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Local are this machine's addresses; nil asks the system.
	Local func() []netip.Addr
}

// Dialer connects to what people typed. Safe for concurrent use.
type Dialer struct {
	Config
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New makes a dialer.
func New(c Config) *Dialer {
	if c.Resolve == nil {
		c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if c.Local == nil {
		c.Local = localAddresses
	}
	plain := &net.Dialer{Timeout: dialWithin}
	return &Dialer{Config: c, dial: plain.DialContext}
}

// DialContext connects to host:port over TCP. The name is resolved once, and
// the connection goes to an address of that one answer, so that a second answer
// cannot lead elsewhere. An address that may not be dialled is Forbidden; a
// name that is none Invalid; one that does not answer Unavailable.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, platform.Forbidden("Only TCP leaves this program, not %s.", network)
	}
	typedHost, typedPort, err := net.SplitHostPort(address)
	if err != nil {
		return nil, platform.Invalid("", "This is not a host and a port. Give both, such as mail.example.com:587.")
	}
	host, err := ParseHost("", typedHost)
	if err != nil {
		return nil, err
	}
	port, err := ParsePort("", typedPort)
	if err != nil {
		return nil, err
	}
	addrs, err := d.permitted(ctx, host, port)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, addr := range addrs {
		if network == "tcp4" && !addr.Is4() || network == "tcp6" && addr.Is4() {
			continue
		}
		conn, err := d.dial(ctx, network, netip.AddrPortFrom(addr, uint16(port)).String())
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, platform.Unavailable(failed, "%s does not answer on port %d. Check the name, the port, and whether a firewall is between.", host, port)
}

// Check is nil when host and port may be dialled as things are now; for a form,
// so that the sentence stands where the address was typed. What is dialled is
// checked again.
func (d *Dialer) Check(ctx context.Context, host string, port int) error {
	_, err := d.permitted(ctx, host, port)
	return err
}

// permitted are the addresses of a parsed host that may be dialled on port.
func (d *Dialer) permitted(ctx context.Context, host string, port int) ([]netip.Addr, error) {
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	if d.Allow.holds(host, port) {
		return addrs, nil
	}
	var permitted []netip.Addr
	refusal := ""
	for _, addr := range addrs {
		switch why := d.refusal(addr, port); why {
		case "":
			permitted = append(permitted, addr)
		default:
			refusal = why
		}
	}
	if len(permitted) > 0 {
		return permitted, nil
	}
	// Which address it is stays out: whoever may type a name here need not learn
	// what this machine's resolver knows.
	return nil, platform.Forbidden("%s leads to %s, which Changeover does not connect to by itself. If it is meant, add %s to %s and start again.",
		host, refusal, net.JoinHostPort(host, strconv.Itoa(port)), Setting)
}

func (d *Dialer) refusal(addr netip.Addr, port int) string {
	if d.own(addr, port) {
		return "a port of this program"
	}
	if d.Allow.contains(addr) {
		return ""
	}
	return inside(addr)
}

// own is whether the port is one of this program's on one of this machine's
// addresses.
func (d *Dialer) own(addr netip.Addr, port int) bool {
	ours := false
	for _, r := range d.OwnPorts {
		ours = ours || r.From <= port && port <= r.To
	}
	if !ours {
		return false
	}
	plain := addr.Unmap().WithZone("")
	if plain.IsLoopback() || plain.IsUnspecified() {
		return true
	}
	for _, local := range d.Local() {
		if local.Unmap().WithZone("") == plain {
			return true
		}
	}
	return false
}

func (d *Dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := d.Resolve(ctx, host)
	if err == nil && len(addrs) > 0 {
		return plainAddresses(addrs), nil
	}
	var dns *net.DNSError
	if err == nil || errors.As(err, &dns) && dns.IsNotFound {
		return nil, platform.Invalid("", "There is no host %s. Check the name.", host)
	}
	return nil, platform.Unavailable(err, "The name %s could not be looked up. Try again, or check this machine's name server.", host)
}

// plainAddresses are the answers of a resolver, which gives IPv4 addresses in
// the form of IPv6 now and then; typed ones stay as they were typed.
func plainAddresses(addrs []netip.Addr) []netip.Addr {
	plain := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		plain[i] = a.Unmap()
	}
	return plain
}

func localAddresses() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var addrs []netip.Addr
	for _, a := range list {
		text, _, _ := strings.Cut(a.String(), "/")
		if addr, err := netip.ParseAddr(text); err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}
