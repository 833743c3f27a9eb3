package config

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// examples/full.yaml shows each key there is, also those behind the mark that a
// reader takes away when he has made the files that they name.
func TestTheFullExampleShowsEveryKey(t *testing.T) {
	b, err := os.ReadFile("../examples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	judge := schemaJudge(t)
	text := string(b)
	for _, text := range []string{text, strings.ReplaceAll(text, "\n#+", "\n")} {
		if _, err := Parse("full.yaml", []byte(text)); err != nil {
			t.Error(err)
		}
		if err := judge(t, text); err != nil {
			t.Errorf("the schema: %v", err)
		}
	}
	var root any
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, "\n#+", "\n")), &root); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	show(shown, "", root)
	n := 0
	keys("", reflect.TypeFor[Config](), func(path string) {
		// Of the same form as those that are shown, or of the other side only.
		if path == ".listeners.tls.server_name" || strings.HasPrefix(path, ".hsm.commands.") || strings.HasPrefix(path, ".links.framing.") || strings.Contains(path, ".tls.") && strings.HasPrefix(path, ".links.") {
			return
		}
		if n++; !shown[path] {
			t.Errorf("%s is not shown", path)
		}
	})
	if n < 100 {
		t.Errorf("only %d keys", n)
	}
}

// show gathers the paths of a file, elements of lists without their index.
func show(into map[string]bool, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			into[path+"."+k] = true
			show(into, path+"."+k, inner)
		}
	case []any:
		for _, inner := range v {
			show(into, path, inner)
		}
	}
}

// keys gives the path of each key that a type has.
func keys(path string, t reflect.Type, each func(string)) {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || !named(t) {
		return
	}
	for i := range t.NumField() {
		name, _ := jsonName(t.Field(i))
		each(path + "." + name)
		keys(path+"."+name, t.Field(i).Type, each)
	}
}
