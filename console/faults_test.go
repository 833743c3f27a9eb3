package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tongka/fault"
)

// TestFaultsAreShown: in the metrics with a series for every code, and in the
// snapshot with their words.
func TestFaultsAreShown(t *testing.T) {
	var b fault.Book
	b.Add(fault.AcceptFailed, 3)
	s := New(new(source), Options{Faults: &b})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil))
	if text := w.Body.String(); !strings.Contains(text, `tongka_faults_total{alarm="yes",code="TK-2004"} 3`) ||
		strings.Count(text, "\ntongka_faults_total{") != len(fault.All()) {
		t.Error(text)
	}
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/api/snapshot", nil))
	var st Status
	if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil || len(st.Faults) != 1 {
		t.Fatalf("%v %+v", err, st.Faults)
	}
	f := st.Faults[0]
	if f.Code != "TK-2004" || f.Count != 3 || !f.Alarm || f.Last == "" || f.Words.ZH == "" || f.Hint.EN == "" {
		t.Errorf("%+v", f)
	}
	if rows := Faults(nil); rows == nil || len(rows) != 0 {
		t.Errorf("%v", rows)
	}
}
