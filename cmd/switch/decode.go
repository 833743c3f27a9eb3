package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/dialects"
	"tongka/codec/iso8583/explain"
	"tongka/codec/iso8583/explain/capture"
)

// decodeCmd reads one captured message. It needs no config and no switch.
type decodeCmd struct {
	JSON    bool     `help:"输出 JSON · write JSON"`
	Dialect string   `placeholder:"NAME|FILE" help:"方言名或方言文件，缺省自动识别 · dialect by name or file; found when not given (switch dialect list)"`
	Framing string   `placeholder:"NAME" help:"分帧，缺省自动识别 · framing, found when not given: binary2, ascii4, …, none"`
	Unmask  bool     `help:"显示卡号、磁道与 PIN 块 · show card numbers, tracks and PIN blocks"`
	Raw     bool     `help:"输入为原始字节 · the input is the bytes themselves"`
	Input   []string `arg:"" optional:"" name:"input" help:"十六进制（可分多段）、文件名（十六进制文本、原始字节、pcap 或 pcapng），或 - 为标准输入 · hexadecimal in one or more pieces, a file of hexadecimal text, raw bytes or packets (pcap, pcapng), or - for standard input"`
}

// maxInput bounds what is read from a file or a pipe: many frames' worth.
const maxInput = 4 << 20

// Run prints the fields with card data masked, or one line that names the field
// and the offset of the first byte that does not fit.
func (c *decodeCmd) Run(s *streams) error {
	o := explain.Options{Framing: c.Framing, Unmask: c.Unmask}
	var err error
	if o.Dialects, err = dialectsOf(c.Dialect); err != nil {
		return err
	}
	if f := c.captureFile(); f != nil {
		defer f.Close()
		return c.capture(s, f, o)
	}
	b, err := c.read(s.in)
	if err != nil {
		return err
	}
	if capture.Is(b) {
		return c.capture(s, bytes.NewReader(b), o)
	}
	r, err := c.decode(b, o)
	if err != nil {
		return c.refused(s, err)
	}
	if c.JSON {
		return writeJSON(s.out, r)
	}
	return r.WriteText(s.out, styleOf(s.out))
}

// captureFile opens the input when it is a file of packets, which may be larger
// than a message: nil when it is none.
func (c *decodeCmd) captureFile() *os.File {
	if len(c.Input) != 1 {
		return nil
	}
	f, err := os.Open(c.Input[0])
	if err != nil {
		return nil // read says why, if it was meant as a file
	}
	var head [4]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || !capture.Is(head[:]) {
		_ = f.Close() // opened for reading: nothing can be lost
		return nil
	}
	return f
}

// capture writes what packets hold. Messages that cannot be read are told where
// they stand and are no failure: a capture may hold other things, too.
func (c *decodeCmd) capture(s *streams, in io.Reader, o explain.Options) error {
	r, err := capture.Read(in, o)
	if r == nil {
		return err
	}
	if c.JSON {
		return errors.Join(writeJSON(s.out, r), err)
	}
	return errors.Join(r.WriteText(s.out, styleOf(s.out)), err)
}

// dialectsOf is what --dialect names: nothing for all that are built in, and for
// ascii its variants with bytes in places, too, which look alike in a log.
func dialectsOf(name string) ([]*iso8583.Spec, error) {
	switch name {
	case "", "auto":
		return nil, nil
	case "ascii":
		return []*iso8583.Spec{iso8583.ASCII(), iso8583.ASCIIHexMap(), iso8583.ASCIIRaw()}, nil
	}
	d, err := dialects.Open(name)
	if err != nil {
		return nil, err
	}
	return []*iso8583.Spec{d}, nil
}

// refused draws how far a message could be read, and passes the error on.
func (c *decodeCmd) refused(s *streams, err error) error {
	var e *explain.RefusedError
	if !errors.As(err, &e) {
		return err
	}
	if c.JSON {
		return errors.Join(writeJSON(s.out, e), err)
	}
	return errors.Join(e.WriteText(s.out, styleOf(s.out)), err)
}

// styleOf colours what goes to a terminal, unless the user's NO_COLOR says not to
// (no-color.org).
func styleOf(w io.Writer) explain.Style {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return explain.Style{}
	}
	info, err := f.Stat()
	return explain.Style{Color: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// read gives the input as it is: text from the arguments, or what a file or
// standard input holds.
func (c *decodeCmd) read(stdin io.Reader) ([]byte, error) {
	switch {
	case len(c.Input) == 0 || len(c.Input) == 1 && c.Input[0] == "-":
		return readAll(stdin)
	case len(c.Input) > 1:
		return []byte(strings.Join(c.Input, " ")), nil
	}
	info, err := os.Stat(c.Input[0])
	switch {
	case err != nil: // not a file: hexadecimal
	case info.IsDir():
		return nil, fmt.Errorf("%s 是目录 · is a directory", clip(c.Input[0]))
	default:
		f, err := os.Open(c.Input[0])
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAll(f)
	}
	if _, err := explain.ParseHex(c.Input[0]); err != nil {
		return nil, fmt.Errorf("既不是文件也不是十六进制 · neither a file nor hexadecimal: %s: %w", clip(c.Input[0]), err)
	}
	return []byte(c.Input[0]), nil
}

// cardLike is what may be a card number.
var cardLike = regexp.MustCompile(`([0-9]{6})[0-9]{6,}`)

// clip keeps a mistyped argument from filling the screen, and from showing a card
// number that was in it.
func clip(s string) string {
	s = cardLike.ReplaceAllString(s, "$1…")
	if len(s) > 24 {
		return strings.ToValidUTF8(s[:24], "") + "…"
	}
	return s
}

// readAll reads all there is, but not without end.
func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("读取输入 · reading the input: %w", err)
	}
	if len(b) > maxInput {
		return nil, fmt.Errorf("输入超过 %d 字节 · the input is larger than %d bytes", maxInput, maxInput)
	}
	return b, nil
}

// decode takes input as hexadecimal text or as raw bytes. What is not text
// cannot be hexadecimal; text that is not hexadecimal may still be a message of
// an ASCII dialect.
func (c *decodeCmd) decode(input []byte, o explain.Options) (*explain.Result, error) {
	if c.Raw || !isText(input) {
		return explain.Decode(input, o)
	}
	b, err := explain.ParseHex(string(input))
	if err == nil {
		return explain.Decode(b, o)
	}
	if r, rawErr := explain.Decode(input, o); rawErr == nil {
		return r, nil
	}
	return nil, err
}

// isText says that b is printable text, in whatever language; a byte order mark
// may stand in front.
func isText(b []byte) bool {
	for _, r := range strings.TrimPrefix(string(b), "\uFEFF") {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
	}
	return true
}
