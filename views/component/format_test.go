package component

import (
	"testing"
	"time"
)

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Number(0), "0"}, {Number(999), "999"}, {Number(18204), "18,204"}, {Number(-1234567), "-1,234,567"},
		{Dollars(120000), "$1,200"}, {Cost(1253), "$12.53"}, {Cost(0.4), "$0.00"}, {Cost(100000), "$1,000.00"},
		{Millis(142.4), "142"}, {Millis(30071), "30,071"}, {Millis(0), "0"}, {Millis(0.42), "0.4"},
		{Span(4 * time.Millisecond), "0.004 s"}, {Span(842 * time.Second), "14 min 02 s"}, {Span(25 * time.Hour), "25 h 00 min"}, {Span(-time.Second), "0 s"},
		{About(18 * time.Millisecond), "18 ms"}, {About(34 * time.Minute), "34 min"}, {About(41 * time.Second), "41 s"},
		{ShortName("postgresql-shaped-12345"), "shaped-12345"},
		{Plural(1, "follower"), "1 follower"}, {Plural(0, "follower"), "0 followers"},
		{Query("select\n  1", 40), "select 1"}, {Query("abcdef", 3), "abc…"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	if used, of := OfBytes(38<<30+400<<20, 64<<30); used != "38.4" || of != "64 GB" {
		t.Errorf("got %s of %s", used, of)
	}
	if used, of := OfBytes(7_700_000, 64<<30); used != "7.3 MB" || of != "64 GB" {
		t.Errorf("got %s of %s", used, of)
	}
	if used, of := OfBytes(0, 1<<40); used != "0" || of != "1 TB" {
		t.Errorf("got %s of %s", used, of)
	}
}

func TestStripIsAsWideAsItsMilliseconds(t *testing.T) {
	boxes, rows := stripBoxes([]StripPart{{Name: "Fence", MS: 90}, {Name: "Check that it is out of recovery", MS: 0}, {Name: "Promote it to DATABASE_URL", MS: 10, NoReturn: true}})
	if rows != 2 || boxes[1].row == boxes[2].row {
		t.Errorf("labels touch: %+v", boxes)
	}
	if len(boxes) != 3 || boxes[1].width == "0.00%" {
		t.Errorf("a part of 0 ms cannot be seen: %+v", boxes)
	}
	if boxes, _ := stripBoxes([]StripPart{{Name: "Fence"}}); boxes != nil {
		t.Error("a strip without time is drawn")
	}
}

func TestProofHoldsOnlyForEqualPositions(t *testing.T) {
	for _, tt := range []struct {
		old, fork string
		want      bool
	}{{"3A/1", "3A/1", true}, {"3A/1", "3A/2", false}, {"", "", false}} {
		if got := (Proof{OldEnd: tt.old, ForkPoint: tt.fork}).Holds(); got != tt.want {
			t.Errorf("%q and %q: got %v", tt.old, tt.fork, got)
		}
	}
}
