package component

// Form is what was typed and what was wrong with it. The zero value is a fresh
// form. Errors are keyed by field name (platform.Error.Field); an error with
// an empty field belongs to the whole form and goes into Summary.
type Form struct {
	CSRF    string
	Values  map[string]string
	Errors  map[string]string
	Summary string // a sentence about the whole form; may be empty
}

// Value is what was typed into field, else fallback.
func (f Form) Value(field, fallback string) string {
	if v, ok := f.Values[field]; ok {
		return v
	}
	return fallback
}

// Error is what is wrong with field; empty when nothing is.
func (f Form) Error(field string) string { return f.Errors[field] }

// Failed is whether the form was refused.
func (f Form) Failed() bool { return len(f.Errors) > 0 || f.Summary != "" }

// FieldID is the id of the input of field, the target of the summary's links.
func FieldID(field string) string { return "field-" + field }

func errorID(field string) string { return "error-" + field }
func hintID(field string) string  { return "hint-" + field }
