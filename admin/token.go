package admin

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"tongka/audit"
)

// Bounds of a token file.
const (
	minToken     = 24
	maxTokenFile = 64 << 10
)

// ReadTokens reads a file of name:token lines; empty lines and those that begin
// with # are passed over. Tokens have 24 bytes at least, and nobody but the
// file's owner may read it. The hashes of the tokens are given by name.
func ReadTokens(path string) (map[string][sha256.Size]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("令牌文件 · token file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("令牌文件 · token file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("令牌文件 %s 他人可读（%v）· token file %s is open to others (%v): chmod 600", path, info.Mode().Perm(), path, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil || len(b) > maxTokenFile {
		return nil, errors.Join(fmt.Errorf("令牌文件至多 %d 字节 · token file: %d bytes at most", maxTokenFile, maxTokenFile), err)
	}
	tokens := map[string][sha256.Size]byte{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, token, ok := strings.Cut(line, ":")
		token = strings.TrimSpace(token)
		if !ok || name == "" || len(token) < minToken {
			return nil, fmt.Errorf("%s:%d: 须为 名称:令牌，令牌至少 %d 字节 · wanted name:token, a token of %d bytes at least", path, n, minToken, minToken)
		}
		if _, twice := tokens[name]; twice {
			return nil, fmt.Errorf("%s:%d: 名称 %q 重复 · the name %q is there already", path, n, name, name)
		}
		tokens[name] = sha256.Sum256([]byte(token))
	}
	return tokens, lines.Err()
}

// ByToken identifies by a bearer token of the file that path gives at the time,
// so tokens change without a reload; with no file nobody is let in.
func ByToken(path func() string) func(*http.Request) (audit.Who, error) {
	return func(r *http.Request) (audit.Who, error) {
		file := path()
		if file == "" {
			return audit.Who{}, errors.New("未配置 admin.tokens，控制台只读 · without admin.tokens the console only reads")
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			return audit.Who{}, errors.New("须带令牌 · wanted: Authorization: Bearer <token>")
		}
		tokens, err := ReadTokens(file)
		if err != nil {
			return audit.Who{}, err
		}
		sum := sha256.Sum256([]byte(token))
		// All are looked at, so that the time says nothing.
		found := ""
		for name, want := range tokens {
			if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
				found = name
			}
		}
		if found == "" {
			return audit.Who{}, errors.New("令牌无效 · the token is not one of ours")
		}
		return audit.Who{UID: -1, Token: found, Via: "console"}, nil
	}
}
