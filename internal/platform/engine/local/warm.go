package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

const (
	// warmPiece is read at once, and nothing ahead of it; between two pieces others
	// get the disk.
	warmPiece = 512 << 10
	// warmFromMemory is what a piece takes at most that was in memory already.
	warmFromMemory = 200 * time.Microsecond
	// warmPause is the longest pause after a piece that came from the disk.
	warmPause = 100 * time.Millisecond
)

// WorthWarming chooses what of the relations, whose files it measures in s's own
// directory, is worth reading into the machine's memory: as much as the plan's
// memory holds, and never more than a quarter of what the machine has to spare,
// since other servers' files are kept there, too. total is how large all is that
// is used.
func (e *Engine) WorthWarming(s engine.Server, relations []platform.Relation) (parts []platform.RelationPart, total int64, err error) {
	c, err := e.cluster(s)
	if err != nil {
		return nil, 0, err
	}
	measured := make([]platform.Relation, 0, len(relations))
	for _, r := range relations {
		if err := c.walkRelation(r.Path, func(_ string, info fs.FileInfo) bool {
			r.Bytes += info.Size()
			return true
		}); err != nil {
			return nil, 0, err
		}
		measured = append(measured, r)
	}
	parts, total = platform.UsedMost(measured, min(e.memory(s), availableMemory()/4))
	return parts, total, nil
}

// ReadPart reads a part of a relation from s's own files, so that the machine
// has it in memory, and returns how much that was: less where the relation is
// shorter by now. It writes nothing, takes no lock and tells PostgreSQL nothing,
// reads at a low priority, and leaves the disk to others for as long as each
// piece took.
func (e *Engine) ReadPart(ctx context.Context, s engine.Server, part platform.RelationPart) (int64, error) {
	c, err := e.cluster(s)
	if err != nil {
		return 0, err
	}
	var read atomic.Int64
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its low priority
		yieldDisk()
		done <- c.readPart(ctx, part, &read)
	}()
	select {
	case err = <-done:
	case <-ctx.Done(): // a disk that hangs keeps the goroutine, not the caller
		err = ctx.Err()
	}
	return read.Load(), err
}

func (c cluster) readPart(ctx context.Context, part platform.RelationPart, read *atomic.Int64) (err error) {
	buffer := make([]byte, warmPiece)
	from, left := part.From, part.Bytes
	walkErr := c.walkRelation(part.Path, func(path string, info fs.FileInfo) bool {
		n := min(left, info.Size()-from)
		if n <= 0 { // it begins in a later file
			from -= info.Size()
			return true
		}
		err = readFile(ctx, path, from, n, buffer, read)
		from, left = 0, left-n
		return err == nil && left > 0
	})
	return errors.Join(err, walkErr)
}

// readFile reads n bytes of a file, or what there is of them. A file that went
// away has none.
func readFile(ctx context.Context, path string, from, n int64, buffer []byte, read *atomic.Int64) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	noReadAhead(file)
	for end := from + n; from < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		got, err := file.ReadAt(buffer[:min(end-from, warmPiece)], from)
		from += int64(got)
		read.Add(int64(got))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if took := time.Since(began); took > warmFromMemory {
			time.Sleep(min(took, warmPause))
		}
	}
	return nil
}

// relationPath is how PostgreSQL names a relation's first file, or that of the map
// of its free space or of what in it everybody sees. Nothing else is read.
var relationPath = regexp.MustCompile(`^(global|base/\d+|pg_tblspc/\d+/PG_\w+/\d+)/\d+(_fsm|_vm)?$`)

// walkRelation calls do for each file of a relation, in order, until it says
// false: path, path.1, path.2 and so on. One that is not there has no files.
func (c cluster) walkRelation(path string, do func(path string, info fs.FileInfo) bool) error {
	if !relationPath.MatchString(path) {
		return platform.Invalid("", "%s is no path of a relation.", path)
	}
	name := c.path(path)
	for segment := 1; ; segment++ {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || !do(name, info) {
			return nil
		}
		name = c.path(path + "." + strconv.Itoa(segment))
	}
}
