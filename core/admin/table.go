package admin

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// write writes the table in aligned columns.
func (t *Table) write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range append([][]string{upper(t.Columns)}, t.Rows...) {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = printable(c)
		}
		if _, err := fmt.Fprintln(tw, strings.TrimRight(strings.Join(cells, "\t"), "\t ")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

func upper(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = strings.ToUpper(s)
	}
	return out
}

// printable is the text of a cell.
func printable(s string) string {
	if s == "" {
		return "-"
	}
	return visible(strings.ReplaceAll(s, "\t", "\uFFFD")) // a tab would begin another cell
}

// visible keeps what other people wrote from moving the terminal's cursor, and from showing letters in another order than they stand in.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0 || unicode.Is(unicode.Bidi_Control, r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
