package config

import "tongka/yamlfile"

// Fault is one thing wrong in a config file.
type Fault = yamlfile.Fault

// Faults are all that is wrong in a file, in the order of its lines.
type Faults = yamlfile.Faults
