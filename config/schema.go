package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"tongka/hsm"
	"tongka/txn"
)

// durationPattern is what a duration of a config looks like; zero is refused by
// its range.
const durationPattern = `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`

// Schema gives the JSON schema of a config file, for editors: indented JSON that
// ends with a newline. config/schema.json is the same.
func Schema() ([]byte, error) {
	kinds := make([]any, 0, 8)
	for _, k := range kindNames() {
		kinds = append(kinds, k)
	}
	s, err := jsonschema.For[Config](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[time.Duration](): {Type: "string", Pattern: durationPattern},
		reflect.TypeFor[hsm.Key]():       {Type: "string", Pattern: `^([UX][0-9A-Fa-f]{32}|[TY][0-9A-Fa-f]{48})$`},
		reflect.TypeFor[txn.Kind]():      {Type: "string", Enum: kinds},
	}})
	if err != nil {
		return nil, fmt.Errorf("config: schema: %w", err)
	}
	d := Defaults()
	if err := refine(s, reflect.ValueOf(d)); err != nil {
		return nil, fmt.Errorf("config: schema: %w", err)
	}
	// Editors look at these two first.
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "通卡配置 · Tongka configuration"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("config: schema: %w", err)
	}
	return append(b, '\n'), nil
}

// refine adds to the schema of a struct what the library does not read: enum and
// range tags, and the defaults that v holds.
func refine(s *jsonschema.Schema, v reflect.Value) error {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		name, _ := jsonName(f)
		p := s.Properties[name]
		limit(p, f)
		if field.Kind() == reflect.Slice {
			// An empty list reads as null to a library; here it is never null.
			p.Type, p.Types = "array", nil
			if e := reflect.New(f.Type.Elem()); e.Elem().Kind() == reflect.Struct {
				if st, ok := e.Interface().(starter); ok {
					st.start()
				}
				if err := refine(p.Items, e.Elem()); err != nil {
					return err
				}
			}
			continue
		}
		if field.Kind() == reflect.Struct && f.Type != reflect.TypeFor[hsm.Key]() {
			if err := refine(p, field); err != nil {
				return err
			}
			continue
		}
		if !field.IsZero() {
			b, err := defaultJSON(field)
			if err != nil {
				return err
			}
			p.Default = b
		}
	}
	return nil
}

// limit gives the schema of a field what its tags allow. The range of a
// duration is said in words: a schema cannot compare "10s" with "5m".
func limit(p *jsonschema.Schema, f reflect.StructField) {
	whole := p
	if f.Type.Kind() == reflect.Slice && p.Items != nil {
		p = p.Items // a tag of a list is about its elements
	}
	if enum := f.Tag.Get("enum"); enum != "" {
		for word := range strings.SplitSeq(enum, ",") {
			p.Enum = append(p.Enum, word)
		}
	}
	if pattern := f.Tag.Get("pattern"); pattern != "" {
		p.Pattern = pattern // the reader has the same rule in another place
	}
	switch {
	case f.Type == reflect.TypeFor[time.Duration]():
		low, high := durationRange(f.Tag)
		whole.Description += fmt.Sprintf(" (%s – %s)", short(low), short(high))
	default:
		if low, high, ok := intRange(f.Tag); ok {
			a, b := float64(low), float64(high)
			p.Minimum, p.Maximum = &a, &b
		}
	}
}

// defaultJSON writes a default as the file would: a duration is a text there.
func defaultJSON(v reflect.Value) (json.RawMessage, error) {
	if d, ok := v.Interface().(time.Duration); ok {
		return json.Marshal(short(d))
	}
	return json.Marshal(v.Interface())
}
