package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"tongka/hsm"
)

// Change is one difference between two configs.
type Change struct {
	Path   string `json:"path"`   // links[bank-a].answer_timeout: elements by their name, not their place
	Before string `json:"before"` // as the file would have it; empty when it was not there
	After  string `json:"after"`  // empty when it is gone
	// Live says that a running switch can take it; otherwise it wants a restart.
	Live bool `json:"live"`
}

// String is the change in one line.
func (c Change) String() string {
	switch {
	case c.Before == "":
		return "+ " + c.Path + ": " + c.After
	case c.After == "":
		return "- " + c.Path + ": " + c.Before
	}
	return c.Path + ": " + c.Before + " → " + c.After
}

// Compare gives what differs, in the order of the structs; nil when nothing
// does. The reload tag of a field says what a running switch can take: "now"
// any change of it and of all in it, "add", "remove" a list's elements. The
// nearest tag counts.
func Compare(before, after *Config) []Change {
	var d differ
	d.diff("", reflect.ValueOf(*before), reflect.ValueOf(*after), "")
	return d.changes
}

type differ struct{ changes []Change }

func (d *differ) add(path, before, after string, live bool) {
	d.changes = append(d.changes, Change{path, before, after, live})
}

// diff compares two values of one type; tag is the nearest reload tag.
func (d *differ) diff(path string, a, b reflect.Value, tag string) {
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return
	}
	t := a.Type()
	switch {
	case t == reflect.TypeFor[hsm.Key](): // under the LMK, and still nobody's business
		d.add(path, "***", "***", tag == "now")
	case t.Kind() == reflect.Struct && named(t):
		for i := range t.NumField() {
			f := t.Field(i)
			name, _ := jsonName(f)
			inner := tag
			if own, ok := f.Tag.Lookup("reload"); ok {
				inner = own
			}
			d.diff(join(path, name), a.Field(i), b.Field(i), inner)
		}
	case t.Kind() == reflect.Slice && hasName(t.Elem()):
		d.list(path, a, b, tag)
	default:
		d.add(path, text(a), text(b), tag == "now")
	}
}

// list compares elements by their names. Their order counts, too: what is owed
// names its bank by the place in the list.
func (d *differ) list(path string, a, b reflect.Value, tag string) {
	old, now := byName(a), byName(b)
	at := func(name string) string { return fmt.Sprintf("%s[%s]", path, name) }
	live := func(what string) bool { return tag == "now" || strings.Contains(tag, what) }
	var kept []string
	for i := range a.Len() {
		name := nameOf(a.Index(i))
		if e, ok := now[name]; ok {
			kept = append(kept, name)
			d.diff(at(name), a.Index(i), e, tag)
		} else {
			d.add(at(name), text(a.Index(i)), "", live("remove"))
		}
	}
	next := 0 // of those that were kept
	for i := range b.Len() {
		name := nameOf(b.Index(i))
		_, known := old[name]
		switch {
		case !known:
			// One that is put in before others moves them from their places.
			d.add(at(name), "", text(b.Index(i)), live("add") && (tag == "now" || next == len(kept)))
		case kept[next] != name:
			d.add(path, strings.Join(names(a), ", "), strings.Join(names(b), ", "), tag == "now")
			return
		default:
			next++
		}
	}
}

// nameField is what elements that people call by a name have first.
const nameField = "Name"

func hasName(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	_, ok := t.FieldByName(nameField)
	return ok
}

func nameOf(v reflect.Value) string { return v.FieldByName(nameField).String() }

func names(list reflect.Value) (all []string) {
	for i := range list.Len() {
		all = append(all, nameOf(list.Index(i)))
	}
	return all
}

func byName(list reflect.Value) map[string]reflect.Value {
	m := map[string]reflect.Value{}
	for i := range list.Len() {
		m[nameOf(list.Index(i))] = list.Index(i)
	}
	return m
}

// named says that a struct is one of this file's own: its fields have names in
// the file. Others (addresses, keys) are values.
func named(t reflect.Type) bool {
	return t.NumField() > 0 && t.Field(0).Tag.Get("json") != ""
}

// text writes a value as the file would, in one line and without what is at its
// zero value; keys are not shown.
func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return short(x)
	case hsm.Key:
		return "***"
	case fmt.Stringer:
		return x.String()
	case string:
		return fmt.Sprintf("%q", x)
	}
	switch {
	case v.Kind() == reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = text(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case v.Kind() == reflect.Struct && named(v.Type()):
		var parts []string
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				name, _ := jsonName(v.Type().Field(i))
				parts = append(parts, name+": "+text(v.Field(i)))
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v.Interface())
}
