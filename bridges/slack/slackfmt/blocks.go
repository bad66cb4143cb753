package slackfmt

import (
	"encoding/json"
)

// Block is a block as it travels; of the kinds that are not rich_text only what has a
// text is read.
type Block struct {
	Type     string     `json:"type"`
	Elements []*Element `json:"elements,omitempty"`
	Text     *Text      `json:"text,omitempty"`
	Fields   []*Text    `json:"fields,omitempty"`
	Title    *Text      `json:"title,omitempty"`
	AltText  string     `json:"alt_text,omitempty"`
	ImageURL string     `json:"image_url,omitempty"`
}

// Element is an element of a rich_text or context block, on any level.
type Element struct {
	Type     string     `json:"type"`
	Elements []*Element `json:"elements,omitempty"`
	Text     Words      `json:"text,omitempty"`
	Style    *Style     `json:"style,omitempty"`

	Indent   int    `json:"indent,omitempty"` // of a list
	Offset   int    `json:"offset,omitempty"`
	Border   int    `json:"border,omitempty"` // 1: within a quotation
	Language string `json:"language,omitempty"`

	URL       string `json:"url,omitempty"`
	User      string `json:"user_id,omitempty"`
	Group     string `json:"usergroup_id,omitempty"`
	Channel   string `json:"channel_id,omitempty"`
	Range     string `json:"range,omitempty"`
	Name      string `json:"name,omitempty"`
	Unicode   string `json:"unicode,omitempty"`
	SkinTone  int    `json:"skin_tone,omitempty"`
	Timestamp int64  `json:"timestamp,omitempty"`
	Format    string `json:"format,omitempty"`
	Fallback  string `json:"fallback,omitempty"`
	Value     string `json:"value,omitempty"`
	AltText   string `json:"alt_text,omitempty"`
}

// Words is a text that may also come as a text object.
type Words string

// UnmarshalJSON implements json.Unmarshaler.
func (w *Words) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*w = Words(s)
		return nil
	}
	var t Text
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	*w = Words(t.Text)
	return nil
}

// Text is a text object; a plain string stands for one, too (the markdown block).
type Text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = Text{Type: "markdown", Text: s}
		return nil
	}
	type plain Text
	return json.Unmarshal(b, (*plain)(t))
}

// Style is how a text looks, or of which sort a list is.
type Style struct {
	List                                   string // "bullet", "ordered"
	Bold, Italic, Strike, Code, Underlined bool
}

type styleJSON struct {
	Bold      bool `json:"bold,omitempty"`
	Italic    bool `json:"italic,omitempty"`
	Strike    bool `json:"strike,omitempty"`
	Code      bool `json:"code,omitempty"`
	Underline bool `json:"underline,omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Style) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &s.List) == nil {
		return nil
	}
	var j styleJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*s = Style{Bold: j.Bold, Italic: j.Italic, Strike: j.Strike, Code: j.Code, Underlined: j.Underline}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (s Style) MarshalJSON() ([]byte, error) {
	if s.List != "" {
		return json.Marshal(s.List)
	}
	return json.Marshal(styleJSON{s.Bold, s.Italic, s.Strike, s.Code, s.Underlined})
}

// decodeBlocks reads what can be read; one malformed block does not take the others
// with it.
func decodeBlocks(raw json.RawMessage) []Block {
	var list []json.RawMessage
	if len(raw) == 0 || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var out []Block
	for _, one := range list {
		var b Block
		if json.Unmarshal(one, &b) == nil && b.Type != "" {
			out = append(out, b)
		}
	}
	return out
}
