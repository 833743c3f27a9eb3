package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// The browser must not call home or keep anything; -no-sandbox because build
// machines are often containers without user namespaces.
var flags = []string{
	"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
	"--disable-background-networking", "--disable-component-update", "--disable-sync",
	"--hide-scrollbars", "--remote-debugging-pipe",
}

const hint = "chromium was not found: install it (Debian: apt-get install chromium fonts-noto-cjk) or put it on the PATH 未找到 chromium"

// findChromium gives the path of the browser.
func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New(hint)
}

// browser is a chromium that is driven over two pipes (the DevTools protocol;
// messages are JSON, ended by a zero byte). A pipe needs no port, and it ends
// with us. The simpler --screenshot flag takes the picture when the page is
// loaded, which is before the first event has brought a figure.
type browser struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	session string
	last    int
}

// startBrowser runs a browser with an empty profile folder; it is killed when
// ctx ends, which also ends a call that waits for an answer.
func startBrowser(ctx context.Context, profile string) (*browser, error) {
	path, err := findChromium()
	if err != nil {
		return nil, err
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirIn.Close(), in.Close())
	}
	cmd := exec.CommandContext(ctx, path, append(flags, "--user-data-dir="+profile, "about:blank")...)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // become descriptors 3 and 4, as the protocol wants
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Start()
	// Ours would keep the pipe open after the browser has died, and we would
	// wait for an answer that nobody can give.
	err = errors.Join(err, theirIn.Close(), theirOut.Close())
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	return &browser{cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

// stop asks the browser to leave and waits until it has.
func (b *browser) stop() {
	b.session = "" // speak to the browser, not to its tab
	if b.call("Browser.close", nil, nil) != nil {
		_ = b.cmd.Process.Kill() // it may be gone already
	}
	_ = b.in.Close()
	_ = b.cmd.Wait() // its exit code says nothing about the picture
}

// call sends one command and waits for its answer; events in between are of no
// interest here.
func (b *browser) call(method string, params, result any) error {
	b.last++
	msg, err := json.Marshal(command{ID: b.last, Method: method, Params: params, Session: b.session})
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(msg, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	// Answers to one session come in order, and we never have two in the air.
	for {
		line, err := b.out.ReadBytes(0)
		if err != nil {
			return fmt.Errorf("%s: chromium hung up: %w", method, err)
		}
		var a answer
		if err := json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &a); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		switch {
		case a.ID != b.last:
			continue
		case a.Error != nil:
			return fmt.Errorf("%s: %s", method, a.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(a.Result, result)
	}
}

// command and answer are the envelope of the protocol. An answer without an ID
// is an event.
type command struct {
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  any    `json:"params,omitempty"`
	Session string `json:"sessionId,omitempty"`
}

type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}
