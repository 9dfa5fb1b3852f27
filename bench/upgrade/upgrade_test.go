package main

import (
	"testing"

	"changeover/bench/program"
	"changeover/bench/switching/switchingtest"
)

func TestUpgradeLosesNothing(t *testing.T) { switchingtest.LosesNothing(t, benchmark) }

func TestReplacementIsBesides(t *testing.T) {
	upgrade := program.Operation{Steps: []program.Step{{Name: "reserve_server", Detail: "Port 20017 in zone a"}}}
	got, err := besides("postgres://u:p@127.0.0.1:20003/d?sslmode=require", upgrade)
	if want := "postgres://u:p@127.0.0.1:20017/d?sslmode=require"; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	upgrade.Steps[0].Detail = "Reserved"
	if got, err := besides("postgres://u:p@127.0.0.1:20003/d", upgrade); err == nil {
		t.Errorf("a detail without a port gave %s", got)
	}
}
