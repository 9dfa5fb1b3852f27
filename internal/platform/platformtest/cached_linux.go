package platformtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NeedsDisk skips a test of what is in memory where the files are never anywhere else.
func NeedsDisk(t testing.TB, dir string) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type == unix.TMPFS_MAGIC {
		t.Skipf("%s lies in memory: nothing of it can be put out of there", dir)
	}
}

// Forget puts the files of a relation, of a server that is not writing them, out
// of the machine's memory.
func (p *Platform) Forget(t testing.TB, dataDir, path string) {
	t.Helper()
	for _, name := range relationFiles(t, dataDir, path) {
		file, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
	}
}

// Cached is how many bytes of the stretch of a relation's first file, and how
// many there are in all, are in the machine's memory. n 0 is to the end.
func (p *Platform) Cached(t testing.TB, dataDir, path string, from, n int64) (cached, all int64) {
	t.Helper()
	file, err := os.Open(filepath.Join(dataDir, path))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		n = info.Size() - from
	}
	if n <= 0 {
		return 0, 0
	}
	memory, err := unix.Mmap(int(file.Fd()), from, int(n), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	page := int64(os.Getpagesize())
	pages := make([]byte, (n+page-1)/page)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&memory[0])), uintptr(n), uintptr(unsafe.Pointer(&pages[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for i, state := range pages {
		if state&1 != 0 {
			cached += min(page, n-int64(i)*page)
		}
	}
	return cached, n
}

// relationFiles are path, path.1 and so on, and the maps beside them.
func relationFiles(t testing.TB, dataDir, path string) (files []string) {
	t.Helper()
	near, err := filepath.Glob(filepath.Join(dataDir, path) + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range near {
		if rest := strings.TrimPrefix(name, filepath.Join(dataDir, path)); rest == "" || rest[0] == '.' || rest[0] == '_' {
			files = append(files, name)
		}
	}
	return files
}
