package main

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// readable is whether text can be stored and shown: PostgreSQL takes neither a
// NUL nor bytes that are not UTF-8.
func readable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// checkAddress refuses addresses with characters that no name here can have.
func (a *app) checkAddress(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if !readable(u.Path) {
			return platform.NotFound("There is no page at this address: it has characters that are not text. Check it, or start from the list of databases.")
		}
		if query, err := url.QueryUnescape(u.RawQuery); err == nil && !readable(query) {
			return platform.Invalid("", "What stands behind the question mark in the address has characters that are not text. Take them out.")
		}
		return next(c)
	}
}

// checkField is nil for a field that holds text.
func checkField(name, value string) error {
	if !readable(name) {
		return platform.Invalid("", "The name of a field has characters that are not text. Send the fields that the form has.")
	}
	if !readable(value) {
		return platform.Invalid(name, "The field %s has characters that are not text: a NUL, or bytes that are not UTF-8. Take them out.", shortened(name))
	}
	return nil
}
