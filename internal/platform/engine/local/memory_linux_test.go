package local

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// What a control group allows counts, whichever of those around us says it.
func TestMemoryOfControlGroups(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) string {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("system.slice/memory.max", "2147483648\n")
	write("system.slice/changeover.service/memory.max", "max\n")
	write("small/memory.max", "1048576\n")
	tests := []struct {
		self string
		want int64
	}{
		{"0::/system.slice/changeover.service\n", 2 << 30},
		{"4:memory:/x\n0::/small\n", 1 << 20},
		{"0::/\n", math.MaxInt64},
		{"0::/../../elsewhere\n", math.MaxInt64},
		{"", math.MaxInt64},
	}
	for _, test := range tests {
		if got := groupMemory(write("self", test.self), root); got != test.want {
			t.Errorf("%q: %d, want %d", test.self, got, test.want)
		}
	}
	if available, all := availableMemory(), machineMemory(); available <= 0 || available > all {
		t.Errorf("%d of %d bytes are to spare", available, all)
	}
}
