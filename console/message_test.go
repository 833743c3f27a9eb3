package console

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/codec/iso8583"
)

const testCard = "6225880000000001" // invented

func saleHex(t *testing.T) string {
	t.Helper()
	b := iso8583.Pos().Begin([]byte("\x60\x00\x03\x00\x00\x60\x22\x00\x00\x00\x00"), 0x0200)
	b.Put(2, []byte(testCard))
	b.Put(4, []byte("100"))
	b.Put(11, []byte("27"))
	b.Put(41, []byte("T0000001"))
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(out)
}

func post(h http.Handler, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Host = "127.0.0.1:8583"
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func asked(t *testing.T, h http.Handler, path string, p paste) (out reading) {
	t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	w := post(h, path, string(b))
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s %v", path, w.Code, w.Body, err)
	}
	return out
}

func TestMessagesArePastedAndDrawn(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	text := saleHex(t)
	r := asked(t, s, decodePath, paste{Text: text})
	if r.Refused != "" || !strings.Contains(r.Drawing, "62 25 88 ** ** ** 00 01") || r.Message.Dialect != "pos" || strings.Contains(r.Drawing, testCard) || strings.Contains(r.Message.Fields["2"], testCard) {
		t.Errorf("%+v", r)
	}
	r = asked(t, s, decodePath, paste{Text: text[:len(text)-4]})
	if !strings.Contains(r.Refused, "F41 at byte") || !strings.Contains(r.Drawing, "F11") || r.Message != nil {
		t.Errorf("%+v", r)
	}
	for p, want := range map[paste]string{
		{Text: "60 0g"}: "1:5", {Text: text, Dialect: "xml"}: "no such dialect", {Text: text, Framing: "morse"}: "no framing",
		{Text: text, Dialect: "CUPS"}: "not readable as cups", {Text: strings.Repeat("00", maxFrame+1)}: "too long",
	} {
		if r := asked(t, s, decodePath, p); !strings.Contains(r.Refused, want) || !hasHan(r.Refused) {
			t.Errorf("%.20s: %q, want %q", p.Text, r.Refused, want)
		}
	}
}

func TestMessagesAreMadeOfJSON(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	r := asked(t, s, encodePath, paste{Text: `{"dialect":"pos","framing":"binary2","mti":"0800","fields":{"11":"1"}}`})
	if r.Hex != "000D"+"0800"+"0020000000000000"+"000001" || r.Refused != "" {
		t.Errorf("%+v", r)
	}
	r = asked(t, s, encodePath, paste{Text: `{"mti":"0800","fields":{"11":"1"}}`, Dialect: "87A", Framing: "none"})
	if r.Hex != hex.EncodeToString([]byte("0800"+"0020000000000000"+"000001")) {
		t.Errorf("%+v", r)
	}
	for text, want := range map[string]string{`{"dialect":"pos","mti":"0800","fields":{"11":"x"}}`: "F11 at byte", `{`: "1:1", "": "1:1"} {
		if r := asked(t, s, encodePath, paste{Text: text}); !strings.Contains(r.Refused, want) || r.Hex != "" {
			t.Errorf("%s: %+v", text, r)
		}
	}
}

// The two paths that take a POST take it from this console's page only.
func TestPostsOfOthersAreRefused(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	ok := `{"text":"00"}`
	for name, c := range map[string]struct {
		path, body string
		headers    []string
		want       int
	}{
		"own":              {decodePath, ok, nil, 200},
		"own page":         {decodePath, ok, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8583"}, 200},
		"charset":          {decodePath, ok, []string{"Content-Type", "application/json; charset=utf-8"}, 200},
		"other site":       {decodePath, ok, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"same site":        {decodePath, ok, []string{"Sec-Fetch-Site", "same-site"}, 403},
		"navigation":       {decodePath, ok, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		"other origin":     {encodePath, ok, []string{"Origin", "http://evil.example"}, 403},
		"null origin":      {encodePath, ok, []string{"Origin", "null"}, 403},
		"form":             {encodePath, ok, []string{"Content-Type", "application/x-www-form-urlencoded"}, 403},
		"text":             {decodePath, ok, []string{"Content-Type", "text/plain"}, 403},
		"no type":          {decodePath, ok, []string{"Content-Type", ""}, 403},
		"other path":       {"/api/snapshot", ok, nil, 405},
		"page":             {"/message", ok, nil, 405},
		"path behind":      {decodePath + "/", ok, nil, 405},
		"no JSON":          {decodePath, "60 00", nil, 400},
		"unknown key":      {decodePath, `{"text":"00","unmask":true}`, nil, 400},
		"too much":         {decodePath, `{"text":"` + strings.Repeat("0", maxPaste) + `"}`, nil, 413},
		"too much, encode": {encodePath, `{"text":"` + strings.Repeat(" ", maxPaste) + `"}`, nil, 413},
	} {
		if w := post(s, c.path, c.body, c.headers...); w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, c.want, w.Body)
		}
	}
	if w := get(s, decodePath); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodPost, decodePath, strings.NewReader(ok))
	r.Host = "evil.example"
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusMisdirectedRequest {
		t.Errorf("another name: %d", w.Code)
	}
}

func TestOneMessageAtATime(t *testing.T) {
	var m messages
	m.busy.Lock()
	if w := post(m.answer(decodeMessage), decodePath, `{"text":"00"}`); w.Code != http.StatusTooManyRequests {
		t.Errorf("%d", w.Code)
	}
	m.busy.Unlock()
	if w := post(m.answer(decodeMessage), decodePath, `{"text":"00"}`); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

func TestPastesAreNotLogged(t *testing.T) {
	core, logged := observer.New(zap.DebugLevel)
	s := New(sourceOf(snapshotAt(0)), Options{Logger: zap.New(core)})
	asked(t, s, decodePath, paste{Text: saleHex(t)})
	asked(t, s, decodePath, paste{Text: "zz"})
	asked(t, s, encodePath, paste{Text: "{"})
	if logged.Len() != 0 {
		t.Errorf("%v", logged.All())
	}
}

func TestMessagePageFindsItsElements(t *testing.T) {
	html, script := body(t, "/message"), body(t, "/assets/message.js")
	for _, id := range []string{"hex", "json", "dialect", "framing", "decode", "encode", "refused", "drawing"} {
		if !strings.Contains(html, ` id="`+id+`"`) || !strings.Contains(script, `$("`+id+`")`) {
			t.Errorf("%s is not in page and script", id)
		}
	}
	for _, want := range []string{"<option>pos</option>", "<option>ebcdic</option>", "<option>binary2</option>", "<option>none</option>"} {
		if !strings.Contains(html, want) {
			t.Errorf("%s is not offered", want)
		}
	}
	if !strings.Contains(script, decodePath) || !strings.Contains(script, encodePath) {
		t.Error("the script asks elsewhere")
	}
}
