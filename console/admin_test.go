package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAdminGetsPostsOnly: and none that a web page makes.
func TestAdminGetsPostsOnly(t *testing.T) {
	var asked int
	s := New(sourceOf(snapshotAt(0)), Options{Admin: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })})
	for _, c := range []struct {
		method, path, host, header string
		want, asked                int
	}{
		{"POST", "/api/stop", "127.0.0.1", "", 200, 1},
		{"POST", "/api/stop", "evil.example", "", 421, 0},
		{"POST", "/api/stop", "127.0.0.1", "Origin", 403, 0},
		{"POST", "/api/stop", "127.0.0.1", "Sec-Fetch-Site", 403, 0},
		{"POST", "/metrics", "127.0.0.1", "", 405, 0},
		{"PUT", "/api/stop", "127.0.0.1", "", 405, 0},
		{"GET", "/api/stop", "127.0.0.1", "", 404, 0},
	} {
		asked = 0
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = c.host
		if c.header != "" {
			r.Header.Set(c.header, "http://127.0.0.1")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.want || asked != c.asked {
			t.Errorf("%+v: %d, asked %d times", c, w.Code, asked)
		}
	}
}

func TestReloadIsShown(t *testing.T) {
	r := &Reload{At: "now", Words: Words{"未加载", "not loaded"}, Lines: []string{"x.yaml:3:1: wrong"}}
	s := New(sourceOf(snapshotAt(0)), Options{Reload: func() *Reload { return r }})
	var st Status
	if err := json.Unmarshal(get(s, "/api/snapshot").Body.Bytes(), &st); err != nil {
		t.Fatal(err)
	}
	if st.Reload == nil || st.Reload.OK || st.Reload.Lines[0] != r.Lines[0] {
		t.Errorf("%+v", st.Reload)
	}
}
