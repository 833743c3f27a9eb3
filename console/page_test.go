package console

import (
	"encoding/json"
	"io/fs"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func body(t *testing.T, path string) string {
	t.Helper()
	s, _ := newServer(snapshotAt(0))
	w := get(s, path)
	if w.Code != 200 {
		t.Fatalf("%s: %d", path, w.Code)
	}
	return w.Body.String()
}

// What the policy forbids would silently not work.
func TestPageHasNothingInlineOrForeign(t *testing.T) {
	html := body(t, "/") + body(t, "/message")
	for _, bad := range []string{`<style`, ` style=`, ` onclick=`, ` onload=`, `<script>`, `javascript:`, `http://`, `https://`, `//cdn`} {
		if strings.Contains(html, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		body(t, m[1]) // is served here
	}
	for name := range assetTypes {
		text := body(t, "/assets/"+name)
		for _, bad := range []string{"eval(", "innerHTML", "new Function", "@import", "url(", `setAttribute("style"`} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
	}
}

// Each data-bind of the page is a path in the JSON, and each data-as a
// function of format.js: a misspelt one would show a dash for ever.
func TestPageBindsToTheJSON(t *testing.T) {
	html, format := body(t, "/"), body(t, "/assets/format.js")
	var doc any
	if err := json.Unmarshal([]byte(body(t, "/api/snapshot")), &doc); err != nil {
		t.Fatal(err)
	}
	binds := regexp.MustCompile(`data-bind="([^"]*)" data-as="([^"]*)"`).FindAllStringSubmatch(html, -1)
	if n := strings.Count(html, "data-bind="); n != len(binds) || n < 30 {
		t.Fatalf("%d bindings, %d of them complete", n, len(binds))
	}
	for _, b := range binds {
		v, ok := doc, true
		for _, key := range strings.Split(b[1], ".") {
			m, isMap := v.(map[string]any)
			if v, ok = m[key]; !isMap || !ok {
				t.Errorf("no %s in the JSON", b[1])
				break
			}
		}
		if !regexp.MustCompile(`export (const|function) ` + b[2] + `\b`).MatchString(format) {
			t.Errorf("no %s in format.js", b[2])
		}
	}
}

func TestScriptFindsItsElements(t *testing.T) {
	html, app := body(t, "/"), body(t, "/assets/app.js")
	ids := regexp.MustCompile(`\$\("([^"]*)"\)`).FindAllStringSubmatch(app, -1)
	if len(ids) < 8 {
		t.Fatalf("only %d elements", len(ids))
	}
	for _, id := range ids {
		if !strings.Contains(html, ` id="`+id[1]+`"`) {
			t.Errorf("no element %s on the page", id[1])
		}
	}
	for _, s := range []State{Starting, Recovering, Running, Degraded, Isolated, Unsecured, Stalled} {
		if !strings.Contains(app, string(s)+": ") {
			t.Errorf("the script has no level for %s", s)
		}
		if s != Running && !strings.Contains(html, `data-when="`+string(s)+`"`) {
			t.Errorf("the page has no banner for %s", s)
		}
	}
	if !strings.Contains(html, `data-when="lost"`) {
		t.Error("no banner for a lost connection")
	}
}

// Whatever has Chinese words has English ones beside it. A unit of text is a
// heading, a cell, a paragraph, a term or a tile.
func TestPageIsBilingual(t *testing.T) {
	html := body(t, "/") + body(t, "/message")
	units := regexp.MustCompile(`(?s)<(h1|h2|th|dt|p|li)\b[^>]*>(.*?)</(h1|h2|th|dt|p|li)>`).FindAllStringSubmatch(html, -1)
	if len(units) < 50 {
		t.Fatalf("only %d units of text", len(units))
	}
	for _, u := range units {
		if hasHan(u[2]) != strings.Contains(u[2], `lang="en"`) {
			t.Errorf("only one language in %q", u[2])
		}
	}
	for _, k := range append(append([]string{}, troubleKeys...), totalKeys...) {
		if w := counterByKey(k).words; !strings.Contains(html, w.ZH) || !strings.Contains(html, w.EN) {
			t.Errorf("the page lacks the words of %s", k)
		}
	}
}

func TestVersionIsEscaped(t *testing.T) {
	w := httptest.NewRecorder()
	page(`<b>1</b>`).ServeHTTP(w, request("/"))
	if strings.Contains(w.Body.String(), "<b>1</b>") || !strings.Contains(w.Body.String(), "&lt;b&gt;1") {
		t.Error("the version is not escaped")
	}
}

func TestAssetsAreSentOnce(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	for name, kind := range assetTypes {
		first := get(s, "/assets/"+name)
		if first.Code != 200 || first.Header().Get("Content-Type") != kind {
			t.Errorf("%s: %d %s", name, first.Code, first.Header().Get("Content-Type"))
		}
		r := request("/assets/" + name)
		r.Header.Set("If-None-Match", first.Header().Get("ETag"))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 304 || w.Body.Len() != 0 {
			t.Errorf("%s again: %d with %d bytes", name, w.Code, w.Body.Len())
		}
	}
	files, err := fs.ReadDir(web, "web")
	if err != nil || len(files) != len(assetTypes)+2 {
		t.Errorf("%d files are embedded, %d are served: %v", len(files), len(assetTypes)+2, err)
	}
}

func TestUnknownCounterIsABug(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
	}()
	counterByKey("no_such")
}
