package switching

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Settings are the flags that these benchmarks have in common.
type Settings struct {
	Size     int64 // bytes of data beside the ledger
	Writers  int
	Pairs    int // each is a switch there and one back
	OnlyPeer bool
	// Sizes are measured one after the other instead, on the program alone, where
	// there are any: from the smallest to the largest.
	Sizes   []int64
	Segment int // MB of the peer's WAL segments; 1 when zero
	Keep    bool
	Logger  io.Writer // progress, for a person who waits
}

// parse reads the arguments of the benchmark called name.
func parse(name string, args []string) (Settings, error) {
	s := Settings{Logger: os.Stderr}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	size := flags.String("size", "1GiB", "data in the leader beside the ledger, such as 100MiB")
	flags.IntVar(&s.Writers, "writers", 0, "writers with a connection each; the first has synchronous_commit off (default: as the benchmark says)")
	flags.IntVar(&s.Pairs, "pairs", 10, "how often to go there and back")
	sizes := flags.String("sizes", "", "measure the program alone at several sizes, such as 100MiB,10GiB, with a busy WAL")
	short := flags.Bool("short", false, "100 MiB and 2 pairs, unless said otherwise")
	flags.BoolVar(&s.OnlyPeer, "only-peer", false, "measure the script alone")
	flags.BoolVar(&s.Keep, "keep", false, "leave the directory there for a look at logs")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if *short {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["size"] {
			*size = "100MiB"
		}
		if !given["pairs"] {
			s.Pairs = 2
		}
	}
	var err error
	if s.Size, err = parseSize(*size); err != nil {
		return s, err
	}
	for _, text := range strings.FieldsFunc(*sizes, func(r rune) bool { return r == ',' }) {
		size, err := parseSize(text)
		if err != nil {
			return s, err
		}
		if n := len(s.Sizes); n > 0 && size <= s.Sizes[n-1] {
			return s, errors.New("-sizes go from the smallest to the largest")
		}
		s.Sizes = append(s.Sizes, size)
	}
	if s.Writers < 0 || s.Pairs < 1 {
		return s, errors.New("-writers is not negative and -pairs is at least 1")
	}
	return s, nil
}

// parseSize reads a number of bytes: 1GiB, 100MiB.
func parseSize(text string) (int64, error) {
	for unit, bytes := range map[string]int64{"GiB": 1 << 30, "MiB": 1 << 20} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseInt(number, 10, 64)
			if err == nil && n > 0 && n < 1<<20 {
				return n * bytes, nil
			}
		}
	}
	return 0, fmt.Errorf("-size %s is not a size such as 1GiB or 100MiB", text)
}
