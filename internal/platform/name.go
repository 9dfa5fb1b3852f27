package platform

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

var (
	appName       = regexp.MustCompile(`^[a-z][a-z0-9-]{0,28}[a-z0-9]$`)
	configVarName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	attachName    = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,62}$`)
	processType   = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,29}$`)
)

// CheckAppName is nil for a name an app can have; else Invalid at field.
func CheckAppName(field, name string) error {
	if !appName.MatchString(name) {
		return Invalid(field, "An app's name has 2 to 30 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen, such as sushi. Change %q to that.", shorten(name))
	}
	return nil
}

// CheckConfigVarName is nil for a name a config var can have; else Invalid at field.
func CheckConfigVarName(field, name string) error {
	if !configVarName.MatchString(name) {
		return Invalid(field, "A config var's name has letters, digits and underscores and does not begin with a digit, such as LOG_LEVEL. Change %q to that.", shorten(name))
	}
	return nil
}

// CheckAttachmentName is nil for a name an attachment can have; else Invalid at field.
func CheckAttachmentName(field, name string) error {
	if !attachName.MatchString(name) {
		return Invalid(field, "An attachment's name has upper-case letters, digits and underscores and begins with a letter, such as REPORTING. Change %q to that.", shorten(name))
	}
	if strings.HasSuffix(name, "_URL") {
		return Invalid(field, "Leave out _URL: the attachment %s sets the config var %s by itself.", strings.TrimSuffix(name, "_URL"), name)
	}
	return nil
}

// CheckProcessType is nil for a name a process type can have; else Invalid at field.
func CheckProcessType(field, name string) error {
	if !processType.MatchString(name) {
		return Invalid(field, "A process type has lower-case letters, digits, hyphens and underscores, such as web. Change %q to that.", shorten(name))
	}
	return nil
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// Colors are the names that attachments get in turn; at random, so that nobody
// reads an order or a role into them.
var Colors = []string{
	"AMBER", "AQUA", "BLACK", "BLUE", "BRONZE", "BROWN", "CHARCOAL", "COBALT", "COPPER", "CRIMSON", "CYAN",
	"GOLD", "GRAY", "GREEN", "IVORY", "JADE", "LAVENDER", "MAROON", "MAUVE", "NAVY", "OLIVE", "ONYX", "ORANGE",
	"PINK", "PUCE", "PURPLE", "RED", "ROSE", "SILVER", "TEAL", "VIOLET", "WHITE", "YELLOW",
}

// ColorAttachment is a name HEROKU_POSTGRESQL_<COLOR> that taken does not hold.
func ColorAttachment(taken map[string]bool) string {
	start := randomInt(len(Colors))
	for round := 0; ; round++ {
		for i := range Colors {
			name := "HEROKU_POSTGRESQL_" + Colors[(start+i)%len(Colors)]
			if round > 0 {
				name = fmt.Sprintf("%s_%d", name, round)
			}
			if !taken[name] {
				return name
			}
		}
	}
}

var words = strings.Fields(`acute angular animated asymmetrical clean concave concentric contoured convex cubic curly curved
cylindrical deep defined dimensional elliptical encircled fitted flat flexible fluffy globular graceful horizontal infinite
lively metric octagonal opaque parallel perpendicular polished pointy reticulated rigid round rugged shallow shaped silhouetted
sinuous slippery smooth solid spherical square symmetrical tangled tapered tetrahedral transparent trapezoidal triangular
vertical vivacious wavy wide`)

// RandomDatabaseName is a new add-on name; its uniqueness is the control database's to check.
func RandomDatabaseName() string {
	return fmt.Sprintf("postgresql-%s-%05d", words[randomInt(len(words))], randomInt(100000))
}

// RandomToken is n characters of [a-z0-9], the first a letter: good as a role,
// a database or a password (n = 32 holds 160 bits).
func RandomToken(n int) string {
	const letters, all = "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	b[0] = letters[randomInt(len(letters))]
	for i := 1; i < n; i++ {
		b[i] = all[randomInt(len(all))]
	}
	return string(b)
}

func randomInt(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic("the system's random source failed: " + err.Error())
	}
	return int(v.Int64())
}
