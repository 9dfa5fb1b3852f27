package main

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// wantInvalid holds an error to a refusal at one of the fields, in a sentence.
func wantInvalid(t *testing.T, err error, fields ...string) {
	t.Helper()
	var e *platform.Error
	if !errors.As(err, &e) || e.Kind != platform.KindInvalid || !strings.HasSuffix(e.Message, ".") || len(e.Message) > 900 || !utf8.ValidString(e.Message) {
		t.Fatalf("%#v is no refusal", err)
	}
	for _, f := range fields {
		if e.Field == f {
			return
		}
	}
	t.Errorf("refused at %q, want one of %v", e.Field, fields)
}

// FuzzMoments: a time that a form or a program sends is UTC, at a half hour where
// a form chose it, within a range that a calendar shows; days of a filter are days.
func FuzzMoments(f *testing.F) {
	for _, s := range [][3]string{
		{"2026-10-14", "03:30", ""}, {"", "", "2026-10-14T03:30:00+09:00"}, {"2026-02-30", "24:00", "2026-02-30T00:00:00Z"}, {"0000-01-01", "3:30", "9999-12-31T23:59:59-23:59"},
		{"12026-01-01", "03:15", "0000-01-01T00:00:00Z"}, {" 2026-10-14 ", " 03:30", "tomorrow"}, {"\xff", "\x00", "\u202e"}, {"14.10.2026", "03:30:00", "2026-10-14"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, date, clock, exact string) {
		for what, read := range map[string]func() (time.Time, error){
			"an upgrade's": func() (time.Time, error) {
				return readMoment(map[string]string{"date": date, "time": clock, "at": exact}, "at")
			},
			"a blackout's": func() (time.Time, error) {
				return blackoutMoment(map[string]string{"from_date": date, "from_time": clock, "from": exact}, "from")
			},
		} {
			at, err := read()
			if err != nil {
				wantInvalid(t, err, "date", "time", "at", "from", "from_date", "from_time")
				continue
			}
			if at.Location() != time.UTC || at.Year() < 2000 || at.Year() > 2999 {
				t.Errorf("%s moment of %q %q %q is %v", what, date, clock, exact, at)
			}
			if _, program := time.Parse(time.RFC3339, exact); program != nil && at.Minute()%30+at.Second()+at.Nanosecond() != 0 {
				t.Errorf("%s moment of %q %q is %v", what, date, clock, at)
			}
		}
		c := echo.New().NewContext(httptest.NewRequest("GET", "/audit?"+url.Values{"from": {date}, "until": {exact}, "q": {clock}, "before": {clock}}.Encode(), nil), httptest.NewRecorder())
		filter, _, err := readAuditFilter(c)
		if err != nil {
			wantInvalid(t, err, "from", "until", "q")
		} else if !filter.From.IsZero() && !filter.Until.IsZero() && !filter.From.Before(filter.Until) {
			t.Errorf("from %v until %v", filter.From, filter.Until)
		}
	})
}

// FuzzToken: a token that is made has a name that a list can show, one of the two
// scopes, and an end that can be counted.
func FuzzToken(f *testing.F) {
	f.Add("deploys", "read", "90")
	f.Add("", "full", "0")
	f.Add(strings.Repeat("x", 500), "admin", "-1")
	f.Add(" \u202e ", "READ", "3661")
	f.Add("a\nb", "", "9223372036854775808")
	f.Fuzz(func(t *testing.T, name, scope, days string) {
		w, err := readToken(map[string]string{"token_name": name, "token_scope": scope, "token_days": days})
		if err != nil {
			wantInvalid(t, err, "token_name", "token_scope", "token_days")
			return
		}
		if w.name == "" || utf8.RuneCountInString(w.name) > mostName || w.scope != "read" && w.scope != "full" || w.life < 0 || w.life > longestToken*24*time.Hour {
			t.Errorf("%q %q %q makes %.100q, %q, %v", name, scope, days, w.name, w.scope, w.life)
		}
	})
}

// FuzzCodes: of what is typed as a code, only the six digits of one of three steps
// fit.
func FuzzCodes(f *testing.F) {
	secret, err := newAuthenticator()
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	for _, s := range []string{"", "000000", "123 456", "123-456", "١٢٣٤٥٦", "1234567", "12345", "-12345", "+12345", "1e5", "\x00\x00\x00\x00\x00\x00"} {
		f.Add(s)
	}
	right := map[string]bool{}
	for _, shift := range []time.Duration{-authenticatorPeriod, 0, authenticatorPeriod} {
		code := codeAt(f, secret, now.Add(shift))
		right[code] = true
		f.Add(code)
		f.Add(code[:3] + " " + code[3:])
	}
	f.Fuzz(func(t *testing.T, typed string) {
		plain := plainCode(typed)
		if _, fits := authenticatorStep(secret, plain, now); fits != right[strings.TrimSpace(plain)] {
			t.Errorf("%q fits: %v", typed, fits)
		}
	})
}
