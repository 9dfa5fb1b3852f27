package switching

import (
	"strings"
	"testing"
	"time"

	"changeover/bench/ledger"
)

func TestFiguresCountALostRowOnce(t *testing.T) {
	gone := []ledger.Entry{{Writer: 1, N: 7}}
	c := &contestant{
		switches: []measured{
			{report: ledger.Report{LongestGap: 100 * time.Millisecond, Failed: 1, Errors: []string{"a"}}, audit: ledger.Audit{Lost: gone}},
			{report: ledger.Report{LongestGap: 300 * time.Millisecond}, audit: ledger.Audit{Lost: gone}, moments: ledger.Moments{TwoWritable: 2}},
		},
		final: ledger.Audit{Acked: 9, Lost: append(gone, ledger.Entry{Writer: 0, N: 1}), Unbalanced: []int{3}},
	}
	f := c.figures()
	if f.Lost != 2 || f.Failed != 1 || f.TwoWritable != 2 || f.Unsound != 1 || f.Median != 200 || f.Worst != 300 {
		t.Errorf("%+v", f)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args  string
		size  int64
		pairs int
		fails bool
	}{
		{args: "", size: 1 << 30, pairs: 10},
		{args: "-short", size: 100 << 20, pairs: 2},
		{args: "-short -pairs=3", size: 100 << 20, pairs: 3},
		{args: "-size=2GiB", size: 2 << 30, pairs: 10},
		{args: "-sizes=100MiB,10GiB", size: 1 << 30, pairs: 10},
		{args: "-sizes=10GiB,100MiB", fails: true},
		{args: "-sizes=big", fails: true},
		{args: "-size=2GB", fails: true},
		{args: "-size=-1GiB", fails: true},
		{args: "-pairs=0", fails: true},
	} {
		s, err := parse("changeover", strings.Fields(tt.args))
		if (err != nil) != tt.fails {
			t.Errorf("%q: %v", tt.args, err)
		} else if err == nil && (s.Size != tt.size || s.Pairs != tt.pairs) {
			t.Errorf("%q: size %d, pairs %d", tt.args, s.Size, s.Pairs)
		}
	}
}

func TestParseSteps(t *testing.T) {
	o, err := parseSteps("step prepare 100.500\nstep stop 60.250\nstep route 0.750\n")
	if err != nil || len(o.Steps) != 3 || o.ClaimedMS != 61 || o.Steps[0].InOutage || !o.Steps[1].InOutage {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := parseSteps("step stop\n"); err == nil {
		t.Error("half a line was accepted")
	}
}

func TestSizesAreCompared(t *testing.T) {
	at := func(size int64, gap time.Duration) grownTo {
		return grownTo{size: size, contestant: contestant{Side: &handMade{}, switches: []measured{{report: ledger.Report{LongestGap: gap}}}}}
	}
	var out strings.Builder
	grown := []grownTo{at(100<<20, 200*time.Millisecond), at(10<<30, 250*time.Millisecond)}
	grown[1].busy = 1
	if err := (Benchmark{Name: "switch"}).printSizes(&out, grown, &contestant{}, Settings{Sizes: []int64{100 << 20, 10 << 30}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"size_ratio":1.25`, `"failed":1`, `"10GiB":{`, `"100MiB":{`, `"median_ms":250`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in\n%s", want, out.String())
		}
	}
}
