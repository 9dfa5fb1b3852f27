package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
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
				if err := checkField(name, v); err != nil {
					return nil, err
				}
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
	form, err := formFields(c)
	if err != nil {
		return nil, err
	}
	for name := range form {
		input[name] = form.Get(name)
	}
	for _, name := range []string{"app", "plan", "name", "process", "zone", "follower", "confirm", "email"} {
		if v, ok := input[name]; ok {
			input[name] = strings.TrimSpace(v)
		}
	}
	return input, nil
}

// formFields is the request's form: what its body holds, and of a field that was
// sent twice the last. What stands in the address is no field, here and for
// whoever asks the request afterwards. One that is broken, or holds what is not
// text, is Invalid; one that is too large stays that error.
func formFields(c echo.Context) (url.Values, error) {
	_, err := c.FormParams()
	r := c.Request()
	form := r.PostForm
	for name, all := range form {
		if len(all) > 1 {
			form[name] = all[len(all)-1:]
		}
	}
	r.Form = form
	var tooLarge *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLarge) {
		err = platform.Invalid("", "The form that was sent cannot be read. Send it as application/x-www-form-urlencoded, such as app=sushi&plan=standard-0.")
	}
	for name, all := range form {
		for _, value := range all {
			if err == nil {
				err = checkField(name, value)
			}
		}
	}
	return form, err
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
