package console

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// The page loads nothing from elsewhere and has no inline script or style, so
// the policy can forbid both.
const contentPolicy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Nothing of the console may be framed, guessed at, kept or read by another
// origin. The assets alone relax the last but one, see page.go.
var safeHeaders = map[string]string{
	"Content-Security-Policy":      contentPolicy,
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cache-Control":                "no-store",
}

// The only paths that take a POST: what is pasted there must not stand in an
// address, which browsers keep.
const (
	decodePath = "/api/decode"
	encodePath = "/api/encode"
)

func posted(path string) bool { return path == decodePath || path == encodePath }

// ownPost says that a POST comes from a page of this console, or from no browser.
// A page of another site could send a form, but not JSON: for that its browser
// asks first, by OPTIONS, and is refused.
func ownPost(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	return err == nil && kind == "application/json" && (site == "" || site == "same-origin") && (origin == "" || origin == "http://"+r.Host)
}

// guard is the door: every answer has the safe headers, and only a plain GET
// for a loopback name by somebody of this page comes through, or a POST of a
// paste; any other POST goes to admin when there is one, and never from a page.
func guard(next, admin http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k, v := range safeHeaders {
			w.Header().Set(k, v)
		}
		switch {
		case !loopbackHost(r.Host):
			// DNS rebinding: a hostile page can make its own name point to
			// 127.0.0.1, but the browser then still sends that name.
			refuse(w, http.StatusMisdirectedRequest, "只接受本机名称 (localhost、127.0.0.1)", "only loopback names are served (localhost, 127.0.0.1)")
		case r.Method == http.MethodPost && posted(r.URL.Path):
			if !ownPost(r) {
				refuse(w, http.StatusForbidden, "只接受本页发来的 JSON", "only JSON from a page of this console is taken")
				return
			}
			next.ServeHTTP(w, r)
		case r.Method == http.MethodPost && admin != nil && strings.HasPrefix(r.URL.Path, "/api/"):
			if r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "" {
				// A tool sends neither; a page has no business with the switch's keys.
				refuse(w, http.StatusForbidden, "拒绝来自网页的管理操作", "admin actions are not taken from web pages")
				return
			}
			admin.ServeHTTP(w, r)
		case r.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			refuse(w, http.StatusMethodNotAllowed, "只支持 GET", "only GET is supported")
		case foreign(r):
			refuse(w, http.StatusForbidden, "拒绝来自其他网站的请求", "requests made by other sites are refused")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// foreign tells a request that another site's page makes behind the user's
// back. It could not read the answer, but it could use up the event streams.
// A link that the user follows is fine; other clients send no such header.
func foreign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none" && r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

// loopbackHost tells whether the host, with or without a port, is this machine
// by a name that no name server is asked about.
func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// CheckAddress refuses an address that other machines could reach; an empty host
// means all interfaces. It opens nothing, so a config can be asked beforehand.
func CheckAddress(address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("控制台地址 %q 须为 主机:端口 · console: address %q: want host:port: %w", address, address, err)
	}
	if !loopbackHost(address) {
		return fmt.Errorf("控制台地址 %q 不是本机回环地址：没有登录与 TLS，只服务本机 · console: address %q is not a loopback address: without sign-in and TLS the console serves this machine only (%s)",
			address, address, DefaultAddress)
	}
	return nil
}

// refuse answers in both languages.
func refuse(w http.ResponseWriter, code int, zh, en string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, "%s\n%s\n", zh, en) // the client may be gone
}
