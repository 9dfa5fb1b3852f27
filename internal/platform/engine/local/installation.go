package local

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"changeover/internal/platform/engine"
)

// oldestMajor is the first with every setting that safety 3 asks for.
const oldestMajor = 13

// needed are the programs without which a major is of no use to the engine.
var needed = []string{"initdb", "postgres", "pg_basebackup", "pg_controldata"}

var versionNumber = regexp.MustCompile(`\(PostgreSQL\) ((\d+)(?:\.(\d+))?\S*)`)

// findInstallations looks in the usual places and in extra; the newest minor of
// each major counts.
func findInstallations(extra []string) []engine.Installation {
	dirs := append([]string(nil), extra...)
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/usr/pgsql-*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the only error is a malformed pattern
		dirs = append(dirs, found...)
	}
	if path, err := exec.LookPath("pg_config"); err == nil {
		if out, err := exec.Command(path, "--bindir").Output(); err == nil {
			dirs = append(dirs, strings.TrimSpace(string(out)))
		}
	}
	best := map[int]engine.Installation{}
	minors := map[int]int{}
	for _, dir := range dirs {
		found, minor, ok := inspect(dir)
		if _, known := best[found.Major]; ok && (!known || minor > minors[found.Major]) {
			best[found.Major], minors[found.Major] = found, minor
		}
	}
	list := make([]engine.Installation, 0, len(best))
	for _, i := range best {
		list = append(list, i)
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Major > list[b].Major })
	return list
}

func inspect(dir string) (found engine.Installation, minor int, ok bool) {
	for _, name := range needed {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return engine.Installation{}, 0, false
		}
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return engine.Installation{}, 0, false
	}
	m := versionNumber.FindStringSubmatch(string(out))
	if m == nil {
		return engine.Installation{}, 0, false
	}
	major, _ := strconv.Atoi(m[2]) // digits by the pattern
	minor, _ = strconv.Atoi(m[3])
	return engine.Installation{Major: major, Version: m[1], BinDir: dir}, minor, major >= oldestMajor
}
