// Package tongka is an ISO 8583 transaction switch. The program is cmd/switch;
// docs/ARCHITECTURE.md says which folder does what, and why.
package tongka
