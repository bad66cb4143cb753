package main

import (
	"strings"
	"testing"
)

func TestSpecOf(t *testing.T) {
	for file, want := range map[string][2]string{
		"core/modules/ping/testdata/scenarios/xep0199/4-ping.scs": {"XEP-0199", "4-ping"},
		"core/xmpptest/testdata/scenarios/rfc6120/8.2.3-iq.scs":   {"RFC 6120", "8.2.3-iq"},
	} {
		if id, name := specOf(file); id != want[0] || name != want[1] {
			t.Errorf("%s: %q, %q", file, id, name)
		}
	}
}

// TestResults: what failed, was skipped or did not run has not passed.
func TestResults(t *testing.T) {
	const printed = `{"Action":"pass","Package":"example.org/viaduct/core/a","Test":"TestScenarios/xep0001/one"}
{"Action":"fail","Package":"example.org/viaduct/core/a","Test":"TestScenarios/xep0001/two"}
{"Action":"skip","Package":"example.org/viaduct/core/a","Test":"TestScenarios/xep0001/three"}
{"Action":"pass","Package":"example.org/viaduct/core/a"}
`
	got, err := results(strings.NewReader(printed))
	if err != nil || len(got) != 1 || !got["core/a TestScenarios/xep0001/one"] {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := results(strings.NewReader("# build failed\n")); err == nil {
		t.Error("what is no JSON is taken for a result")
	}
}
