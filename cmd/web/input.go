package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"

	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// readInput is what was sent: a form's fields, or for an API request a flat
// JSON object (a form is taken there, too).
func readInput(c echo.Context) (map[string]string, error) {
	input := map[string]string{}
	kind, _, _ := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if isAPI(c) && kind != echo.MIMEApplicationForm && kind != echo.MIMEMultipartForm {
		var sent map[string]any
		err := json.NewDecoder(c.Request().Body).Decode(&sent)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, platform.Invalid("", "The body is not a JSON object. Send one such as {\"app\": \"sushi\"}.")
		}
		for name, value := range sent {
			switch v := value.(type) {
			case string:
				input[name] = v
			case bool:
				input[name] = strconv.FormatBool(v)
			case float64:
				input[name] = strconv.FormatFloat(v, 'f', -1, 64)
			case nil:
			default:
				return nil, platform.Invalid(name, "The field %s must be text, a number or true or false.", shortened(name))
			}
		}
		return input, nil
	}
	form, err := c.FormParams()
	if err != nil {
		return nil, err
	}
	for name, all := range form {
		if len(all) > 0 {
			input[name] = all[len(all)-1]
		}
	}
	for _, name := range []string{"app", "plan", "name", "process", "zone", "follower", "confirm", "email"} {
		if v, ok := input[name]; ok {
			input[name] = strings.TrimSpace(v)
		}
	}
	return input, nil
}

// isOn reads a checkbox or a JSON boolean.
func isOn(value string) bool {
	switch strings.ToLower(value) {
	case "1", "on", "true", "yes":
		return true
	}
	return false
}

// number reads a path parameter that is an id.
func number(c echo.Context, name string) (int64, error) {
	n, err := strconv.ParseInt(c.Param(name), 10, 64)
	if err != nil || n <= 0 {
		return 0, platform.NotFound("There is nothing at this address: %q is not a number. Check it.", shortened(c.Param(name)))
	}
	return n, nil
}

// confirmed is nil when word was typed, for an act that cannot be undone. A
// program says it by sending the same word.
func confirmed(input map[string]string, word, what string) error {
	if input["confirm"] != word {
		return platform.Invalid("confirm", "%s", fmt.Sprintf("Type %s, %s, to confirm.", word, what))
	}
	return nil
}
