package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"

	"tongka/audit"
)

// maxAnswer is the size of an answer in bytes that a client reads.
const maxAnswer = 256 << 20

// Client talks to the socket of a running switch.
type Client struct {
	path  string
	token string // empty: the socket says who asks
	http  http.Client
}

// NewClient makes a client of the socket at path. It connects at each call.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// ErrNotRunning is the error when nobody listens at the socket.
var ErrNotRunning = errors.New("交换未在运行 · the switch is not running")

// Status asks how the switch is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var st Status
	return st, c.call(ctx, http.MethodGet, "/api/status", &st)
}

// AuditHead asks for the end of the audit chain that the journal keeps.
func (c *Client) AuditHead(ctx context.Context) (audit.Head, error) {
	var h audit.Head
	return h, c.call(ctx, http.MethodGet, "/api/audit", &h)
}

// Batches asks for the batches that a person has to look at.
func (c *Client) Batches(ctx context.Context) (all []Batch, err error) {
	return all, c.call(ctx, http.MethodGet, "/api/batches", &all)
}

// Act asks for an action. The error says that it could not be asked; what became
// of it stands in the answer.
func (c *Client) Act(ctx context.Context, a Action) (Answer, error) {
	path := "/api/" + string(a.Verb)
	if a.What != "" {
		path += "/" + url.PathEscape(a.What)
	}
	if a.Dry {
		path += "?dry=1"
	}
	if a.Kind != "" {
		path += "?kind=" + url.QueryEscape(a.Kind)
	}
	var answer Answer
	return answer, c.call(ctx, http.MethodPost, path, &answer)
}

// Registry asks for something to be done to the tables; in is sent as it is read.
func (c *Client) Registry(ctx context.Context, e Edit, in io.Reader) (Answer, error) {
	q := url.Values{"key": {e.Key}, "column": {e.Column}, "value": {e.Value}, "file": {e.File}}
	var answer Answer
	path := "/api/registry/" + url.PathEscape(e.Table) + "/" + url.PathEscape(e.Verb) + "?" + q.Encode()
	return answer, c.send(ctx, http.MethodPost, path, in, &answer)
}

// call reads the answer into v. A refusal of the API itself, which has another
// shape than v, is an error.
func (c *Client) call(ctx context.Context, method, path string, v any) error {
	return c.send(ctx, method, path, nil, v)
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader, v any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, body)
	if err != nil {
		return err
	}
	res, err := c.do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	if _, own := v.(*Answer); !own && res.StatusCode != http.StatusOK {
		return refusal(c.path, res.Status, b)
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(v); err != nil {
		return fmt.Errorf("%s: %s: %w", c.path, res.Status, err)
	}
	return nil
}

func (c *Client) do(r *http.Request) (*http.Response, error) {
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(r)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("无权管理此交换 · not allowed to manage this switch (%s): %w", c.path, err)
		}
		if over := r.Context().Err(); over != nil { // somebody listens, or nobody can tell
			return nil, fmt.Errorf("交换未应答 · the switch does not answer (%s): %w", c.path, over)
		}
		return nil, fmt.Errorf("%w (%s): %w", ErrNotRunning, c.path, err)
	}
	return res, nil
}

// refusal is the error of an answer that the API itself refused.
func refusal(path, status string, b []byte) error {
	var a Answer
	if json.Unmarshal(b, &a) != nil || a.En == "" {
		return fmt.Errorf("%s: %s", path, status)
	}
	return fmt.Errorf("%s · %s %v", a.Zh, a.En, a.Lines)
}
