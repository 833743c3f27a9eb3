// Command screenshot takes a picture of the console with a headless chromium.
// It is a development tool: the picture of the README is made with it, and
// with -fake it shows the page in states that a healthy switch never has.
//
//	go run ./tools/screenshot -url http://127.0.0.1:8583/ -out docs/console.png
//	go run ./tools/screenshot -demo -out docs/console.png
//	go run ./tools/screenshot -fake recovering -scheme dark -out /tmp/console.png
//	go run ./tools/screenshot -fake running -serve 127.0.0.1:8583
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"tongka/console"
)

// settings are the flags, checked.
type settings struct {
	url, out, scheme, fake, serve string
	demo                          bool
	width, height                 int
	after                         time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "screenshot:", err)
		os.Exit(1)
	}
}

// parse reads the flags and says which one is wrong and what it may be.
func parse(args []string) (s settings, err error) {
	f := flag.NewFlagSet("screenshot", flag.ContinueOnError)
	f.StringVar(&s.url, "url", "", "page to take 页面地址")
	f.StringVar(&s.out, "out", "console.png", "PNG file to write 输出文件")
	f.StringVar(&s.scheme, "scheme", "light", "light or dark 浅色或深色")
	f.DurationVar(&s.after, "after", 0, "wait after loading, so that figures have come; 3s, with -demo 75s 加载后等待")
	f.BoolVar(&s.demo, "demo", false, "show the switch's own demo instead of -url 用 switch demo")
	f.StringVar(&s.fake, "fake", "", "show an invented switch instead of -url: "+strings.Join(scenes, ", ")+" 用虚构的交换机")
	f.StringVar(&s.serve, "serve", "", "with -fake: serve at this address until interrupted, take no picture 只提供页面")
	size := f.String("size", "1400x900", "width and height in CSS pixels 宽x高")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if _, err := fmt.Sscanf(*size, "%dx%d", &s.width, &s.height); err != nil || s.width < 1 || s.height < 1 {
		return s, fmt.Errorf("-size %q: want WIDTHxHEIGHT, as in 1400x900", *size)
	}
	sources := 0
	for _, given := range []bool{s.url != "", s.fake != "", s.demo} {
		if given {
			sources++
		}
	}
	switch {
	case s.scheme != "light" && s.scheme != "dark":
		return s, fmt.Errorf("-scheme %q: want light or dark", s.scheme)
	case sources != 1:
		return s, fmt.Errorf("give one of -url, -demo and -fake")
	case s.serve != "" && s.fake == "":
		return s, fmt.Errorf("-serve goes with -fake")
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected %q", f.Arg(0))
	}
	if s.after == 0 {
		s.after = 3 * time.Second
		if s.demo {
			s.after = demoFills
		}
	}
	return s, nil
}

// run does what the flags say; it is main without the exit, so that tests can
// call it.
func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	if s.demo {
		url, stop, err := startDemo(ctx, s.after+takeWithin)
		if err != nil {
			return err
		}
		defer stop()
		s.url = url
	}
	if s.fake != "" {
		c, err := startFake(s)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // the process ends anyway
		s.url = "http://" + c.Addr().String() + "/"
	}
	if s.serve != "" {
		fmt.Println("serving 页面", s.url)
		<-ctx.Done()
		return nil
	}
	png, err := take(ctx, s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(s.out, png, 0o644)
}

// startFake serves an invented switch.
func startFake(s settings) (*console.Server, error) {
	src, err := newFake(s.fake, time.Now())
	if err != nil {
		return nil, err
	}
	// Any free port will do for a picture: nobody else is to find it.
	address := s.serve
	if address == "" {
		address = "127.0.0.1:0"
	}
	c := console.New(src, console.Options{Version: "v0.1.0", Address: address})
	return c, c.Start()
}
