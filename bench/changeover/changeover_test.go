package main

import (
	"testing"

	"changeover/bench/switching/switchingtest"
)

func TestChangeoverLosesNothing(t *testing.T) { switchingtest.LosesNothing(t, benchmark) }
