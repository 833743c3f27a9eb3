package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const takeWithin = time.Minute // on top of -after

// params are the arguments of one command; their names are the protocol's
// (chromedevtools.github.io/devtools-protocol).
type params map[string]any

// take opens the page and returns its picture as PNG.
func take(ctx context.Context, s settings) (png []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, takeWithin+s.after)
	defer cancel()
	profile, err := os.MkdirTemp("", "screenshot-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := os.RemoveAll(profile); err == nil {
			err = e
		}
	}()
	b, err := startBrowser(ctx, profile)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	if err := b.open(s); err != nil {
		return nil, err
	}
	if err := b.settle(ctx, s.after); err != nil {
		return nil, err
	}
	var shot struct {
		Data []byte `json:"data"` // base64 in JSON, as encoding/json reads it
	}
	if err := b.call("Page.captureScreenshot", params{"format": "png"}, &shot); err != nil {
		return nil, err
	}
	return shot.Data, nil
}

// open makes a tab of the wanted size and colours and loads the page.
func (b *browser) open(s settings) error {
	var tab struct {
		ID string `json:"targetId"`
	}
	if err := b.call("Target.createTarget", params{"url": "about:blank"}, &tab); err != nil {
		return err
	}
	var session struct {
		ID string `json:"sessionId"`
	}
	if err := b.call("Target.attachToTarget", params{"targetId": tab.ID, "flatten": true}, &session); err != nil {
		return err
	}
	b.session = session.ID
	// The size is set here because a headless window may keep some of it for
	// itself; the colours because a headless machine has no preference.
	scheme := []params{{"name": "prefers-color-scheme", "value": s.scheme}}
	for _, c := range []command{
		{Method: "Emulation.setDeviceMetricsOverride", Params: params{"width": s.width, "height": s.height, "deviceScaleFactor": 1, "mobile": false}},
		{Method: "Emulation.setEmulatedMedia", Params: params{"features": scheme}},
	} {
		if err := b.call(c.Method, c.Params, nil); err != nil {
			return err
		}
	}
	var nav struct {
		Error string `json:"errorText"`
	}
	if err := b.call("Page.navigate", params{"url": s.url}, &nav); err != nil {
		return err
	}
	if nav.Error != "" {
		return fmt.Errorf("%s: %s", s.url, nav.Error)
	}
	return nil
}

// settle waits until the page is loaded and has said how the switch is, and
// then as long as the caller wants its charts to fill.
func (b *browser) settle(ctx context.Context, after time.Duration) error {
	const ready = `document.readyState === "complete" && document.documentElement.dataset.state !== "connecting"`
	for {
		var got struct {
			Result struct {
				Value bool `json:"value"`
			} `json:"result"`
		}
		if err := b.call("Runtime.evaluate", params{"expression": ready, "returnByValue": true}, &got); err != nil {
			return err
		}
		wait := 100 * time.Millisecond // between two looks
		if got.Result.Value {
			wait = after
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the page did not get ready: %w", context.Cause(ctx))
		case <-time.After(wait):
		}
		if got.Result.Value {
			return nil
		}
	}
}
