package config

import (
	"os"
	"strings"
	"testing"
)

func TestSchemaIsUpToDate(t *testing.T) {
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "schema.json", string(b))
}

// The schema and the reader agree on files that are right and on files that are
// wrong in a way that a schema can say.
func TestSchemaJudgesLikeTheReader(t *testing.T) {
	judge := schemaJudge(t)
	example, err := os.ReadFile("../examples/tongka.yaml")
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("the config does not hold %q", old)
		}
		return strings.Replace(whole, old, new, 1)
	}
	for _, c := range []struct {
		name, text string
		right      bool
	}{
		{"whole", whole, true},
		{"example", string(example), true},
		{"unknown key", change("data:", "dta:"), false},
		{"nested unknown key", change("window:", "windows:"), false},
		{"missing key", change(`acquirer: "48023310", `, ""), false},
		{"duration without unit", change("echo_interval: 3s", "echo_interval: 3"), false},
		{"not a duration", change("echo_interval: 3s", "echo_interval: soon"), false},
		{"enum", change("level: debug", "level: loud"), false},
		{"above its range", change("header: 4", "header: 256"), false},
		{"below its range", change("window: 4", "window: 0"), false},
		{"key form", change("zpk: U0", "zpk: UX"), false},
		{"kind", change("[sale]", "[sail]"), false},
		{"number for text", change(`bin: ["62", "6225-6229"]`, "bin: [62]"), false},
		{"list", change(`addresses: ["127.0.0.1:1500", "127.0.0.2:1500"]`, "addresses: 5"), false},
		{"boolean", change("header: 4", "test_lmk: 1"), false},
	} {
		bySchema := judge(t, c.text)
		_, byReader := Parse("x.yaml", []byte(c.text))
		if (bySchema == nil) != c.right || (byReader == nil) != c.right {
			t.Errorf("%s: the schema says %v, the reader says %v", c.name, bySchema, byReader)
		}
	}
}
