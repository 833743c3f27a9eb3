package yamlfile

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Pos is a place in a file, both from 1.
type Pos struct{ Line, Column int }

// Tree parses the YAML of a file, of most bytes at most, to its one document. The
// root is nil when there is none to read on with. empty is the hint for whoever
// gives an empty file.
func Tree(name string, b []byte, most int, empty string) (root ast.Node, faults Faults) {
	fault := func(p Pos, message, hint string) {
		faults = append(faults, Fault{name, p.Line, p.Column, message, hint})
	}
	if len(b) > most {
		fault(Pos{1, 1}, fmt.Sprintf("文件超过 %d 字节 · the file is larger than %d bytes", most, most), "")
		return nil, faults
	}
	b = bytes.TrimPrefix(b, []byte("\uFEFF")) // some editors put one in front
	if p, deep := tooDeep(b); deep {
		fault(p, "括号嵌套过深 · brackets within brackets, too deep", "")
		return nil, faults
	}
	// Keys that stand twice are found here, with both lines, not by the parser.
	file, err := guarded(func() (*ast.File, error) {
		return parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey())
	})
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		fault(TokenPos(syntax.Token), "YAML 语法错误 · YAML syntax: "+syntax.Message, "检查缩进、冒号与引号 · look at indents, colons and quotes")
		return nil, faults
	case err != nil:
		fault(Pos{1, 1}, "YAML 语法错误 · YAML syntax: "+err.Error(), "")
		return nil, faults
	}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root == nil:
			root = doc.Body
		default:
			fault(NodePos(doc.Body), "只能有一个文档 · one document only", "")
		}
	}
	if root == nil {
		fault(Pos{1, 1}, "空文件 · the file is empty", empty)
		return nil, faults
	}
	return root, faults
}

// maxDepth is far beyond what people write. The parser takes quadratic time for
// deeper ones, and a stack that overflows cannot be recovered.
const maxDepth = 500

// tooDeep finds where brackets are open within each other too often. It does not
// know quotes and comments, and need not at this depth.
func tooDeep(b []byte) (at Pos, deep bool) {
	depth := 0
	at = Pos{1, 0}
	for _, c := range b {
		at.Column++
		switch c {
		case '\n':
			at = Pos{at.Line + 1, 0}
		case '[', '{':
			if depth++; depth > maxDepth {
				return at, true
			}
		case ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return at, false
}

// guarded makes a panic of the YAML library a fault of the file: a typing
// mistake must not look like a crash of the switch.
func guarded(parse func() (*ast.File, error)) (f *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, fmt.Errorf("%v", p)
		}
	}()
	return parse()
}

// TokenPos is where a token stands; a tree that the library mended may have
// nodes without one.
func TokenPos(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{1, 1}
	}
	return Pos{t.Position.Line, t.Position.Column}
}

// NodePos is where a value begins. A block mapping's own token is a colon, so
// its first key is taken.
func NodePos(n ast.Node) Pos {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return TokenPos(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return TokenPos(n.Key.GetToken())
	}
	return TokenPos(n.GetToken())
}

// Pairs gives the key and value nodes of a mapping, false for another node.
func Pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}
