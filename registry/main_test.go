package registry

import (
	"testing"

	"go.uber.org/goleak"
)

// Close ends what Open began: the writer and all of Badger.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
