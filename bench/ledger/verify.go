package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Audit is what a database holds of what its writers were told.
type Audit struct {
	// Acked is how many acknowledged commits were looked for, Lost those that
	// are not there.
	Acked int
	Lost  []Entry
	// UnknownCommitted and UnknownGone tell how the transactions ended whose
	// commit was never answered.
	UnknownCommitted int
	UnknownGone      int
	// Unexpected are rows of transactions that a writer was told had not
	// happened, or that no writer wrote.
	Unexpected []Entry
	// Unbalanced are the writers whose balance is not their number of rows: a
	// transaction is there by half.
	Unbalanced []int
}

// Sound is whether nothing is missing, nothing is there by half, and nothing
// that was refused happened after all.
func (a Audit) Sound() bool {
	return len(a.Lost) == 0 && len(a.Unexpected) == 0 && len(a.Unbalanced) == 0
}

// Verify reads every row of this run back from the database at url. It may be
// called while the writers go on, on the database that they write to: a commit
// that was acknowledged before the call must be there.
func (w *Writers) Verify(ctx context.Context, url string) (Audit, error) {
	var audit Audit
	running := w.isRunning()
	books := make([]book, len(w.writers))
	for i, me := range w.writers {
		books[i] = me.book()
		audit.Acked += len(books[i].acked)
	}
	conn, err := connect(ctx, url)
	if err != nil {
		return audit, fmt.Errorf("verify the ledger: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return audit, fmt.Errorf("verify the ledger: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	for i := range books {
		if err := books[i].compare(ctx, tx, &audit, running); err != nil {
			return audit, fmt.Errorf("verify the ledger: %w", err)
		}
	}
	rows, err := tx.Query(ctx, `
		select b.writer from balance b
		where b.total <> (select count(*) from ledger l where l.writer = b.writer)
		order by b.writer`)
	if err == nil {
		audit.Unbalanced, err = pgx.CollectRows(rows, pgx.RowTo[int])
	}
	if err != nil {
		return audit, fmt.Errorf("verify the ledger: %w", err)
	}
	return audit, nil
}

func (w *Writers) isRunning() bool {
	select {
	case <-w.done:
		return false
	default:
		return true
	}
}

// book is what one writer was told, by number.
type book struct {
	writer  int
	first   int64
	last    int64 // the newest that was acknowledged or not, when the book was closed
	acked   map[int64]bool
	unknown map[int64]bool
}

func (me *writer) book() book {
	me.mu.Lock()
	defer me.mu.Unlock()
	b := book{writer: me.id, first: me.first, acked: make(map[int64]bool, len(me.acks)), unknown: map[int64]bool{}}
	for _, a := range me.acks {
		b.acked[a.n] = true
		b.last = max(b.last, a.n)
	}
	for _, a := range me.attempts {
		if a.outcome == unknown {
			b.unknown[a.n] = true
		}
		b.last = max(b.last, a.n)
	}
	return b
}

// compare strikes every row that is there from the book; what is left of the
// acknowledged ones is lost.
func (b book) compare(ctx context.Context, tx pgx.Tx, audit *Audit, running bool) error {
	if b.last == 0 {
		return nil // it never came to write
	}
	rows, err := tx.Query(ctx, "select n from ledger where writer = $1 and n >= $2 order by n", b.writer, b.first)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return err
		}
		switch {
		case b.acked[n]:
			delete(b.acked, n)
		case b.unknown[n]:
			audit.UnknownCommitted++
			delete(b.unknown, n)
		case running && n > b.last: // written since the book was closed
		default:
			audit.Unexpected = append(audit.Unexpected, Entry{b.writer, n})
		}
	}
	for n := b.first; n <= b.last; n++ {
		if b.acked[n] {
			audit.Lost = append(audit.Lost, Entry{b.writer, n})
		}
	}
	audit.UnknownGone += len(b.unknown)
	return rows.Err()
}
