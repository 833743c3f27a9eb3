//go:build !amd64

package tdes

const wide = false

func lay(*[2 * rounds][4 * Lanes]byte, *[Lanes]*schedule, *tables) {
	panic("no machine without the instructions comes here")
}

func twice(*work, *[2 * rounds][4 * Lanes]byte, *tables) {
	panic("no machine without the instructions comes here")
}
