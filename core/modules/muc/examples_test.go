package muc

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// example is one example of a specification.
type example struct {
	spec, section string
	number        int
}

// citation is what the comments of a scenario cite of one specification.
type citation struct {
	file     string
	sections map[string]bool
	examples map[int]bool
}

var (
	specPattern    = regexp.MustCompile(`XEP-\d{4}`)
	sectionPattern = regexp.MustCompile(`§([\d.]*\d)(?: to §([\d.]*\d))?`)
	examplePattern = regexp.MustCompile(`[Ee]xamples? ((?:\d+(?:, | and | to )?)+)`)
	numberPattern  = regexp.MustCompile(`(\d+)(?: to (\d+))?`)
)

// citations reads the comments of a scenario: a section or an example is one of the specification that was named last.
func citations(file, text string) map[string]*citation {
	out := map[string]*citation{}
	spec := ""
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "#")
		if !ok {
			continue
		}
		at := append(specPattern.FindAllStringIndex(comment, -1), []int{len(comment), len(comment)})
		cite(out, file, spec, comment[:at[0][0]])
		first := spec == ""
		for i := range at[:len(at)-1] {
			named := comment[at[i][0]:at[i][1]]
			cite(out, file, named, comment[at[i][1]:at[i+1][0]])
			if first { // later comments are about what the scenario is about
				spec, first = named, false
			}
		}
	}
	return out
}

func cite(out map[string]*citation, file, spec, text string) {
	if spec == "" {
		return
	}
	c := out[spec]
	if c == nil {
		c = &citation{file: file, sections: map[string]bool{}, examples: map[int]bool{}}
		out[spec] = c
	}
	for _, m := range sectionPattern.FindAllStringSubmatch(text, -1) {
		c.sections["§"+m[1]] = true
		if m[2] == "" {
			continue
		}
		stem := m[1][:strings.LastIndex(m[1], ".")+1]
		from, _ := strconv.Atoi(strings.TrimPrefix(m[1], stem))
		to, _ := strconv.Atoi(strings.TrimPrefix(m[2], stem))
		for n := from; n <= to; n++ {
			c.sections["§"+stem+strconv.Itoa(n)] = true
		}
	}
	for _, m := range examplePattern.FindAllStringSubmatch(text, -1) {
		for _, r := range numberPattern.FindAllStringSubmatch(m[1], -1) {
			from, _ := strconv.Atoi(r[1])
			to, err := strconv.Atoi(r[2])
			if err != nil {
				to = from
			}
			for n := from; n <= to; n++ {
				c.examples[n] = true
			}
		}
	}
}

func readTSV(t *testing.T, file string, fields int) [][]string {
	t.Helper()
	f, err := os.Open(file) //nolint:gosec // a test's own file
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out [][]string
	for s := bufio.NewScanner(f); s.Scan(); {
		row := strings.Split(s.Text(), "\t")
		if len(row) != fields {
			t.Fatalf("%s: %q", file, s.Text())
		}
		out = append(out, row)
	}
	return out
}

// TestExamples: every example of the specifications of rooms is in a scenario that cites it (XEP-0045: by its number, the others by their section), or
// there is a reason why not. testdata/scenarios/README.md is the table; -update writes it.
func TestExamples(t *testing.T) {
	cited := map[string][]*citation{}
	err := filepath.WalkDir("testdata/scenarios", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".scs" {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a test's own file
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("testdata/scenarios", path)
		for spec, c := range citations(filepath.ToSlash(name), string(text)) {
			cited[spec] = append(cited[spec], c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	why := map[string]string{}
	for _, row := range readTSV(t, "testdata/exceptions.tsv", 3) {
		why[row[0]+" "+row[1]] = row[2]
	}
	var b strings.Builder
	b.WriteString("# Examples and their scenarios\n\nWhich scenario plays which example. It is written by TestExamples (-update), which fails if an example is in none.\n")
	spec, last, from := "", "", 0
	end := func(to int) {
		if last == "" {
			return
		}
		span := fmt.Sprint(from)
		if to > from {
			span = fmt.Sprintf("%d to %d", from, to)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", span, last)
	}
	number := 0
	for _, row := range readTSV(t, "testdata/examples.tsv", 3) {
		n, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		e := example{spec: row[0], number: n, section: row[2]}
		text := where(e, cited[e.spec], why)
		if text == "" {
			t.Errorf("%s example %d (%s) is in no scenario", e.spec, e.number, e.section)
		}
		text = e.section + " | " + text
		if e.spec != spec {
			end(number)
			fmt.Fprintf(&b, "\n## %s\n\n| examples | section | scenarios |\n|---|---|---|\n", e.spec)
			spec, last, from = e.spec, text, n
		} else if text != last {
			end(number)
			last, from = text, n
		}
		number = n
	}
	end(number)
	const file = "testdata/scenarios/README.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil { //nolint:gosec // a test's own file
			t.Fatal(err)
		}
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != b.String() {
		t.Errorf("%s is not what the scenarios cite (-update writes it)", file)
	}
}

// where tells which scenarios play an example, or why none does.
func where(e example, cited []*citation, why map[string]string) string {
	if reason := why[fmt.Sprintf("%s %d", e.spec, e.number)]; reason != "" {
		return "none: " + reason
	}
	var out []string
	for _, c := range cited {
		if c.examples[e.number] || e.spec != "XEP-0045" && c.sections[e.section] {
			out = append(out, c.file)
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}
