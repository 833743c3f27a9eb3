package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
)

func TestGuardHostNames(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	for host, want := range map[string]int{
		"127.0.0.1:8583": 200, "localhost:8583": 200, "LocalHost": 200, "[::1]:8583": 200, "127.8.9.10": 200, "[::ffff:127.0.0.1]:1": 200,
		"evil.example:8583": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "10.0.0.1:8583": 421, "": 421, "[::]:8583": 421,
	} {
		for _, path := range []string{"/", "/api/snapshot", "/metrics", "/healthz", "/assets/app.js"} {
			r := request(path)
			r.Host = host
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			wanted := want
			if path == "/healthz" && want == 200 {
				wanted = w.Code // its own tests say which
			}
			if w.Code != wanted {
				t.Errorf("host %q, %s: %d, want %d", host, path, w.Code, wanted)
			}
			if w.Code == 421 && strings.Contains(w.Body.String(), "tongka_") {
				t.Errorf("host %q got figures", host)
			}
		}
	}
}

func TestGuardMethods(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	for _, m := range []string{"POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH"} {
		r := request("/api/snapshot")
		r.Method = m
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET" {
			t.Errorf("%s: %d, Allow %q; want 405, GET", m, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestGuardOtherSites(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	for _, c := range []struct {
		site, mode string
		want       int
	}{
		{"", "", 200}, {"same-origin", "cors", 200}, {"none", "navigate", 200}, {"cross-site", "navigate", 200},
		{"cross-site", "no-cors", 403}, {"same-site", "cors", 403}, {"cross-site", "", 403},
	} {
		r := request("/api/snapshot")
		r.Header.Set("Sec-Fetch-Site", c.site)
		r.Header.Set("Sec-Fetch-Mode", c.mode)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("site %q, mode %q: %d, want %d", c.site, c.mode, w.Code, c.want)
		}
	}
}

// Profiles are there only when they were asked for, and behind the same door.
func TestProfilesAreOffUnlessAskedFor(t *testing.T) {
	off := New(sourceOf(snapshotAt(0)), Options{})
	on := New(sourceOf(snapshotAt(0)), Options{Profile: true})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/allocs", "/debug/pprof/profile?seconds=1", "/debug/vars"} {
		if w := get(off, path); w.Code != 404 {
			t.Errorf("off: %s: %d", path, w.Code)
		}
	}
	w := get(on, "/debug/pprof/allocs")
	if b := w.Body.Bytes(); w.Code != 200 || len(b) < 2 || b[0] != 0x1F || b[1] != 0x8B {
		t.Errorf("on: %d, %d bytes", w.Code, len(b))
	}
	if w := get(on, "/debug/vars"); w.Code != 200 || !strings.Contains(w.Body.String(), `"Mallocs":`) {
		t.Errorf("on: memory: %d, %.80s", w.Code, w.Body)
	}
	r := request("/debug/pprof/allocs")
	r.Host = "evil.example"
	refused := httptest.NewRecorder()
	on.ServeHTTP(refused, r)
	if refused.Code != http.StatusMisdirectedRequest {
		t.Errorf("by a foreign name: %d", refused.Code)
	}
}

func TestGuardHeadersAreOnEveryAnswer(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	for _, path := range []string{"/", "/api/snapshot", "/metrics", "/healthz", "/livez", "/nothing", "/assets/nothing", "/assets/app.js"} {
		w := get(s, path)
		for k, v := range safeHeaders {
			if k == "Cache-Control" && path == "/assets/app.js" {
				v = "no-cache" // may be kept, if asked about each time
			}
			if got := w.Header().Get(k); got != v {
				t.Errorf("%s: %s is %q, want %q", path, k, got, v)
			}
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: open to other origins", path)
		}
	}
}

func TestRefusalsAreBilingual(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	post := request("/")
	post.Method = "POST"
	rebound := request("/")
	rebound.Host = "evil.example"
	foreign := request("/")
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	for _, r := range []*http.Request{request("/nothing"), request("/assets/nothing"), post, rebound, foreign} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		zh, en, _ := strings.Cut(w.Body.String(), "\n")
		if w.Code < 400 || !hasHan(zh) || hasHan(en) || len(en) < 8 {
			t.Errorf("%s %s: %d %q", r.Method, r.URL, w.Code, w.Body)
		}
	}
}

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}
