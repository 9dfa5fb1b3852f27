package component

import "strings"

// word is a piece of a sentence; a database's name is set in mono.
type word struct {
	text string
	name bool
}

// words cuts a sentence where a database's name stands in it.
func words(text string) []word {
	const prefix = "postgresql-"
	var out []word
	for text != "" {
		at := strings.Index(text, prefix)
		if at < 0 {
			return append(out, word{text: text})
		}
		end := at + len(prefix)
		for end < len(text) && nameByte(text[end]) {
			end++
		}
		// A hyphen or a full name's end: "postgresql-shaped-12345." ends at the digit.
		name := strings.TrimRight(text[at:end], "-")
		if at > 0 {
			out = append(out, word{text: text[:at]})
		}
		out = append(out, word{text: name, name: len(name) > len(prefix)})
		text = text[at+len(name):]
	}
	return out
}

func nameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-'
}
