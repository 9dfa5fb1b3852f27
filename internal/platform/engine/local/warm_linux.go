package local

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// yieldDisk lets the calling thread's reads wait for everybody else's, where the
// disk's scheduler knows priorities. Best effort, since the idle class might
// read nothing at all beside a busy leader.
func yieldDisk() {
	const process, bestEffort, last = 1, 2, 7
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, process, 0, bestEffort<<13|last)
}

// noReadAhead keeps the kernel from reading more at once than it was asked for:
// where it is told to read megabytes ahead, the leader's commits wait for them.
// It is only advice.
func noReadAhead(file *os.File) {
	_ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_RANDOM)
}

// availableMemory is what the machine has to spare, what it keeps of files
// included, or what our control groups allow us where that is less.
func availableMemory() int64 {
	available := int64(0)
	text, _ := os.ReadFile("/proc/meminfo") // without it nothing is known to be there
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "MemAvailable:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			available = kilobytes * 1024
		}
	}
	return min(available, groupMemory("/proc/self/cgroup", "/sys/fs/cgroup"))
}

// groupMemory is the least limit of the control group that the file names and of
// those around it, which bounds what is kept of files that we read.
func groupMemory(self, root string) int64 {
	least := int64(math.MaxInt64)
	text, _ := os.ReadFile(self)
	for line := range strings.Lines(string(text)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for group = filepath.Clean("/" + group); ; group = filepath.Dir(group) {
			limit, _ := os.ReadFile(filepath.Join(root, group, "memory.max"))
			if n, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil { // else "max", or none
				least = min(least, n)
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}
