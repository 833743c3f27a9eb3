package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/jsonschema-go/jsonschema"

	"tongka/hsm"
	"tongka/txn"
)

// marker is what a mutation leaves in the file, so that its line can be found.
const marker = "zzmarker"

// tree turns a config into maps, lists and scalars, as its file would hold it.
func tree(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Duration:
		return short(x)
	case hsm.Key:
		return x.String()
	case txn.Kind:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			name, optional := jsonName(v.Type().Field(i))
			if optional && v.Field(i).IsZero() {
				continue
			}
			m[name] = tree(v.Field(i))
		}
		return m
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = tree(v.Index(i))
		}
		return list
	}
	return v.Interface()
}

// mutation is one way to make a right config wrong.
type mutation struct {
	name   string
	root   any
	marked bool   // the fault stands in the line of the marker
	says   string // otherwise the fault says this
	schema bool   // a schema can see it, too
}

// mutations gives every way to spoil the value v of type t; put gives the root of
// a copy in which another value stands in its place.
func mutations(path string, v any, t reflect.Type, f reflect.StructField, put func(any) any) (all []mutation) {
	add := func(what string, value any, says string, schema bool) {
		all = append(all, mutation{path + ": " + what, put(value), says == "", says, schema})
	}
	switch v := v.(type) {
	case map[string]any:
		add("text for a mapping", marker, "", true)
		with := maps.Clone(v)
		with[marker] = 1
		add("unknown key", with, "", true)
		for i := range t.NumField() {
			field := t.Field(i)
			name, optional := jsonName(field)
			if _, ok := v[name]; !ok {
				continue
			}
			if !optional {
				without := maps.Clone(v)
				delete(without, name)
				add("without "+name, without, "缺少 "+name, true)
			}
			all = append(all, mutations(path+"."+name, v[name], field.Type, field, func(x any) any {
				m := maps.Clone(v)
				m[name] = x
				return put(m)
			})...)
		}
		return all
	case []any:
		add("text for a list", marker, "", true)
		for i := range v {
			all = append(all, mutations(fmt.Sprintf("%s[%d]", path, i), v[i], t.Elem(), f, func(x any) any {
				l := slices.Clone(v)
				l[i] = x
				return put(l)
			})...)
		}
		return all
	}
	add("mapping for a scalar", map[string]any{marker: 1}, "", true)
	switch {
	case t == reflect.TypeFor[time.Duration]():
		low, high := durationRange(f.Tag)
		add("no duration", marker, "", true)
		add("too short", short(low-time.Millisecond), "须在", false)
		add("too long", short(high+time.Second), "须在", false)
	case t.Kind() == reflect.Int:
		low, high, ok := intRange(f.Tag)
		add("has a range", low-1, "须在", ok)
		add("above its range", high+1, "须在", ok)
	case f.Tag.Get("enum") != "", t == reflect.TypeFor[txn.Kind](), t == reflect.TypeFor[hsm.Key]():
		add("no such word", marker, "", true)
	}
	return all
}

// Every key of a config is tried with every kind of fault: the reader must refuse
// it where it stands, and the schema must agree where it can.
func TestEveryKeyIsChecked(t *testing.T) {
	c := wholeConfig(t)
	c.Console.Address = "127.0.0.1:8080"
	root := tree(reflect.ValueOf(*c))
	judge := schemaJudge(t)
	if text := emit(t, root); parse(text) != nil {
		t.Fatal(parse(text))
	}
	all := mutations("config", root, reflect.TypeFor[Config](), reflect.StructField{}, func(x any) any { return x })
	if len(all) < 150 {
		t.Fatalf("only %d mutations", len(all))
	}
	for _, m := range all {
		text := emit(t, m.root)
		faults := parse(text)
		line := 1 + strings.Count(text[:max(strings.Index(text, marker), 0)], "\n")
		found := slices.ContainsFunc(faults, func(f Fault) bool {
			return m.marked && f.Line == line || !m.marked && strings.Contains(f.Message, m.says)
		})
		if !found {
			t.Errorf("%s: line %d: the reader says %v\n%s", m.name, line, faults, text)
		}
		if m.schema && judge(t, text) == nil {
			t.Errorf("%s: the schema takes it", m.name)
		}
	}
	t.Logf("%d mutations", len(all))
}

func emit(t *testing.T, root any) string {
	t.Helper()
	b, err := yaml.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// parse gives the faults of a text, nil when it is right.
func parse(text string) Faults {
	_, err := Parse("x.yaml", []byte(text))
	var faults Faults
	if err != nil && !errors.As(err, &faults) {
		return Faults{{Message: "not Faults: " + err.Error()}}
	}
	return faults
}

// schemaJudge gives a function that validates YAML by the schema.
func schemaJudge(t *testing.T) func(t *testing.T, text string) error {
	t.Helper()
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T, text string) error {
		t.Helper()
		var v, plain any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		// Through JSON, because that is what the validator takes.
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(j, &plain); err != nil {
			t.Fatal(err)
		}
		return resolved.Validate(plain)
	}
}
