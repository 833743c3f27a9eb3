package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"tongka/codec/iso8583/dialects"
	"tongka/codec/iso8583/explain"
)

// encodeCmd makes one message. It needs no config and no switch.
type encodeCmd struct {
	Dialect string `placeholder:"NAME|FILE" help:"方言名或方言文件，缺省用 JSON 里的 · dialect by name or file; that of the JSON when not given"`
	Framing string `placeholder:"NAME" help:"分帧，缺省用 JSON 里的 · framing; that of the JSON when not given: binary2, ascii4, …, none"`
	Hex     bool   `xor:"form" help:"输出十六进制（缺省） · write hexadecimal, which is the default"`
	Raw     bool   `xor:"form" help:"输出字节本身 · write the bytes themselves"`
	Input   string `arg:"" optional:"" name:"file" default:"-" help:"JSON 文件，格式同 decode --json 的输出；- 为标准输入 · a file of JSON in the shape that decode --json prints; - for standard input"`
}

// Run makes the message and writes it, or one line that names the field that
// cannot be made.
func (c *encodeCmd) Run(s *streams) error {
	text, err := c.read(s.in)
	if err != nil {
		return err
	}
	form := explain.Form{Framing: c.Framing}
	if c.Dialect != "" {
		if form.Dialect, err = dialects.Open(c.Dialect); err != nil {
			return err
		}
	}
	out, err := explain.Encode(text, form)
	if err != nil {
		return err
	}
	if !c.Raw {
		out = []byte(strings.ToUpper(hex.EncodeToString(out)) + "\n")
	}
	_, err = s.out.Write(out)
	return err
}

func (c *encodeCmd) read(stdin io.Reader) ([]byte, error) {
	if c.Input == "-" {
		return readAll(stdin)
	}
	f, err := os.Open(c.Input)
	if err != nil {
		return nil, fmt.Errorf("读取输入 · reading the input: %w", err)
	}
	defer f.Close()
	return readAll(f)
}
