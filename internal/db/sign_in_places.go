package db

import "context"

// NoteSignInPlace keeps that the user signed in from place. isNew is whether
// that had not happened before, while sign-ins from elsewhere had: the very
// first place is nobody's surprise.
func NoteSignInPlace(ctx context.Context, q Querier, userID int64, place string) (isNew bool, err error) {
	return value[bool](ctx, q, nil, `with before as (select count(*) as places from sign_in_places where user_id = $1),
		noted as (insert into sign_in_places (user_id, place) values ($1, left($2, 200))
			on conflict (user_id, place) do update set last_at = now() returning first_at = now() as added)
		select added and places > 0 from noted, before`, userID, place)
}

// DeleteOldSignInPlaces forgets places that nobody has signed in from for half a year.
func DeleteOldSignInPlaces(ctx context.Context, q Querier) (int64, error) {
	return exec(ctx, q, `delete from sign_in_places where last_at < now() - interval '180 days'`)
}
