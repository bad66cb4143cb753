//go:build !linux

package host

import "errors"

var errNoProc = errors.New("not known on this system")

func memoryOf(int) (int64, error) { return 0, errNoProc }

func birth(int) (string, error) { return "", errNoProc }
