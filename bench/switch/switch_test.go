package main

import (
	"testing"

	"changeover/bench/switching/switchingtest"
)

// Nobody behind a pool notices a switch: "failed" counts everything but a wait.
func TestSwitchIsNotNoticed(t *testing.T) { switchingtest.LosesNothing(t, benchmark) }
