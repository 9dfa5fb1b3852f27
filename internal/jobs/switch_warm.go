package jobs

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

const (
	// warmSlice is how long is read before the page is told and a cancel is heard.
	warmSlice = time.Second
	// warmAsk bounds the question to the leader, and the look at the sizes of files.
	warmAsk = 5 * time.Second
)

// warming is how far the candidate's files have been read into memory.
type warming struct {
	began time.Time
	left  []platform.RelationPart
	read  int64
	total int64 // size of all that is used
	// failure is what the first part said that could not be read.
	failure error
}

// warmCandidate reads what the app uses most from the candidate's own files into
// the machine's memory, so that its first queries after the switch need not wait
// for the disk. Nothing that goes wrong here is a reason not to switch.
func (c *switcher) warmCandidate(ctx context.Context) error {
	if c.warming == nil {
		w, err := c.whatToWarm(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.Log.Warn("what is used most is not known, so nothing is read into memory", "error", err)
			c.Detail("It could not be found out what is used most: the new leader reads it as it is asked for")
			return nil
		}
		c.warming = w
	}
	w := c.warming
	slice, cancel := context.WithTimeout(ctx, min(warmSlice, time.Until(w.began.Add(c.j.WarmFor))))
	defer cancel()
	for len(w.left) > 0 {
		n, err := c.j.Engine.ReadPart(slice, c.it.Server, w.left[0])
		w.read += n
		if slice.Err() != nil {
			w.left[0].From += n
			if w.left[0].Bytes -= n; w.left[0].Bytes <= 0 {
				w.left = w.left[1:]
			}
			break
		}
		if err != nil && w.failure == nil {
			w.failure = err
			c.Log.Warn("a relation was not read into memory; others that fail are not told", "path", w.left[0].Path, "error", err)
		}
		w.left = w.left[1:]
	}
	took := time.Since(w.began)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case len(w.left) > 0 && took < c.j.WarmFor:
		return workflow.Wait(0, "%s read so far", platform.Bytes(w.read))
	}
	c.warming = nil // a switch that begins again reads again
	c.Detail("%s", w.words(took))
	return nil
}

// whatToWarm asks the old leader what its app uses and the engine what of that
// is worth reading.
func (c *switcher) whatToWarm(ctx context.Context) (*warming, error) {
	ctx, cancel := context.WithTimeout(ctx, warmAsk)
	defer cancel()
	began := time.Now()
	var relations []platform.Relation
	if err := c.j.withConn(ctx, c.old, func(conn *pgx.Conn) (err error) {
		relations, err = postgres.RelationsUsed(ctx, conn)
		return err
	}); err != nil {
		return nil, err
	}
	type choice struct {
		w   *warming
		err error
	}
	chosen, server := make(chan choice, 1), c.it.Server
	go func() {
		w := &warming{began: began}
		var err error
		w.left, w.total, err = c.j.Engine.WorthWarming(server, relations)
		chosen <- choice{w, err}
	}()
	select {
	case is := <-chosen:
		return is.w, is.err
	case <-ctx.Done(): // a disk that hangs keeps the goroutine, not the switch
		return nil, ctx.Err()
	}
}

// words say what came of it.
func (w *warming) words(took time.Duration) string {
	if w.total == 0 {
		return "Nothing is in use, so nothing was read"
	}
	text := fmt.Sprintf("%s of %s of what is used most read in %.1f s", platform.Bytes(w.read), platform.Bytes(w.total), took.Seconds())
	switch {
	case w.failure != nil:
		return fmt.Sprintf("%s; not all could be read: %v", text, w.failure)
	case w.read >= w.total:
		return fmt.Sprintf("All %s of what is used read in %.1f s", platform.Bytes(w.read), took.Seconds())
	case len(w.left) > 0:
		return text + ", and then left at that"
	}
	return text
}
