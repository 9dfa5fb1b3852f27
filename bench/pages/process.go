package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// process is the worker, by its pid.
type process int

// usage is what a process has used.
type usage struct {
	cpu             time.Duration
	rssMiB, peakMiB float64
}

// usage reads what the kernel knows of the process (proc(5)).
func (p process) usage() (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return u, err
	}
	// The name, in parentheses, may hold anything; after it, utime and stime are
	// the twelfth and thirteenth field, in hundredths of a second.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("/proc/%d/stat is not understood: %s", p, stat)
	}
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(ticks) * 10 * time.Millisecond
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmRSS":
			u.rssMiB = kib / 1024
		case "VmHWM":
			u.peakMiB = kib / 1024
		}
	}
	return u, nil
}
