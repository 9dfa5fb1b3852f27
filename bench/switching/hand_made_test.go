package switching_test

import (
	"testing"

	"changeover/bench/switching"
	"changeover/bench/switching/switchingtest"
)

func TestHandMadeLosesNothing(t *testing.T) {
	line := switchingtest.Measure(t, switching.Benchmark{Name: "hand-made", Title: "By hand"},
		switching.Settings{Size: 16 << 20, Writers: 4, Pairs: 1, OnlyPeer: true})
	switchingtest.Judge(t, "hand-made", switchingtest.Peer(line), 2)
}
