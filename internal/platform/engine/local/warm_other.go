//go:build !linux

package local

import "os"

// yieldDisk does nothing: this system's disks know no priorities.
func yieldDisk() {}

// noReadAhead does nothing: how far this system reads ahead is not ours to say.
func noReadAhead(*os.File) {}

// availableMemory is half the machine's memory: what of it is in use is not known here.
func availableMemory() int64 { return machineMemory() / 2 }
