package richtext_test

import (
	"fmt"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func Example() {
	doc := richtext.Doc(
		richtext.Para(
			richtext.Text("see "),
			richtext.Link("https://example.org/", richtext.Bold(richtext.Text("this"))),
		),
		richtext.CodeBlock("go", "one()\ntwo()"),
	)
	doc, _ = richtext.Normalize(doc, richtext.DefaultLimits())
	fmt.Println(doc.Plain())
	for i, part := range richtext.Split(doc, 34, richtext.PlainRunes) {
		fmt.Printf("%d: %q\n", i, part.Plain())
	}
	// Output:
	// see this (https://example.org/)
	// one()
	// two()
	// 0: "see this (https://example.org/)"
	// 1: "one()\ntwo()"
}
