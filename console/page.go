package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"time"
)

//go:embed web
var web embed.FS

// tile is a counter on the page.
type tile struct {
	Key   string
	Words Words
	Help  string
}

// tiles gives the counters of the page's two lists their words.
func tiles(keys []string) []tile {
	t := make([]tile, len(keys))
	for i, k := range keys {
		c := counterByKey(k)
		t[i] = tile{c.key, c.words, c.help}
	}
	return t
}

// page renders the frame of the page once; the script fills in the figures.
func page(version string) http.Handler {
	return rendered("web/page.html", map[string]any{"Version": version, "Trouble": tiles(troubleKeys), "Totals": tiles(totalKeys)})
}

// messagePage takes messages apart and makes them.
func messagePage() http.Handler { return rendered("web/message.html", choices()) }

func rendered(file string, data any) http.Handler {
	t := template.Must(template.ParseFS(web, file))
	var b bytes.Buffer
	err := t.Execute(&b, data)
	if err != nil {
		panic(err) // the template is part of the program
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(b.Bytes()) // the client may be gone
	})
}

// assetTypes is also the list of what is served: a file that is embedded but
// not named here stays inside. The types are written out because Go would ask
// the machine's own tables, which differ.
var assetTypes = map[string]string{
	"style.css":  "text/css; charset=utf-8",
	"app.js":     "text/javascript; charset=utf-8",
	"chart.js":   "text/javascript; charset=utf-8",
	"message.js": "text/javascript; charset=utf-8",
	"format.js":  "text/javascript; charset=utf-8",
	"icon.svg":   "image/svg+xml",
}

// assets serves the embedded files. The browser asks again each time but gets
// the bytes only when they changed, so a new version shows at once.
func assets() http.Handler {
	type asset struct {
		body []byte
		etag string
	}
	all := make(map[string]asset, len(assetTypes))
	for name := range assetTypes {
		body, err := web.ReadFile("web/" + name)
		if err != nil {
			panic(err) // the file is part of the program
		}
		sum := sha256.Sum256(body)
		all[name] = asset{body, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		a, ok := all[name]
		if !ok {
			refuse(w, http.StatusNotFound, "没有这个文件", "no such file")
			return
		}
		w.Header().Set("Content-Type", assetTypes[name])
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", a.etag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.body))
	})
}
