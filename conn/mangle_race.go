//go:build race

package conn

const raceBuild = true
