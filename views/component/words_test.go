package component

import (
	"bytes"
	"context"
	"testing"
)

func TestNamesOfDatabasesStandInMono(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "",
		"9 fine, 1 to know":                     "9 fine, 1 to know",
		"postgresql-shaped-12345":               `<span class="mono">postgresql-shaped-12345</span>`,
		"It is postgresql-a-1. It goes":         `It is <span class="mono">postgresql-a-1</span>. It goes`,
		"postgresql-a-1, postgresql-b-22 & <x>": `<span class="mono">postgresql-a-1</span>, <span class="mono">postgresql-b-22</span> &amp; &lt;x&gt;`,
		"apt install postgresql-":               "apt install postgresql-",
	} {
		var out bytes.Buffer
		if err := Words(in).Render(context.Background(), &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%q is written %q, want %q", in, out.String(), want)
		}
	}
}
