package platform

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a position in PostgreSQL's WAL, in bytes from its beginning.
type LSN uint64

// ParseLSN reads PostgreSQL's "16/B374D848" form.
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(s, "/")
	if !ok {
		return 0, fmt.Errorf("lsn %q has no slash", s)
	}
	h, err := strconv.ParseUint(hi, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("lsn %q: %w", s, err)
	}
	l, err := strconv.ParseUint(lo, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("lsn %q: %w", s, err)
	}
	return LSN(h<<32 | l), nil
}

func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint32(l)) }

// Minus is how many bytes l is ahead of other; 0 where it is not ahead.
func (l LSN) Minus(other LSN) int64 {
	if l <= other {
		return 0
	}
	return int64(l - other)
}
