package sasl

import "encoding/base64"

// MaxMessage is the longest message taken from a peer, in bytes after base64.
const MaxMessage = 8192

// DecodeText reads the character data of <auth/>, <response/> or <challenge/>.
// initial says that the text is that of <auth/>, where no text means that there
// is no initial response (nil) and "=" an empty one (RFC 6120 §6.4.2).
func DecodeText(text []byte, initial bool) ([]byte, error) {
	if len(text) == 0 {
		if initial {
			return nil, nil
		}
		return []byte{}, nil
	}
	if len(text) == 1 && text[0] == '=' {
		return []byte{}, nil
	}
	if len(text) > base64.StdEncoding.EncodedLen(MaxMessage) {
		return nil, fail(MalformedRequest, "decode: %d bytes", len(text))
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	for _, c := range text {
		if c == '\r' || c == '\n' { // the decoder would skip them; RFC 6120 §6.4.2 has no line feeds
			return nil, fail(IncorrectEncoding, "decode: white space in base64")
		}
	}
	n, err := base64.StdEncoding.Strict().Decode(out, text)
	if err != nil {
		return nil, fail(IncorrectEncoding, "decode: %w", err)
	}
	return out[:n], nil
}

// EncodeText gives the character data for data: empty for nil, "=" for present
// but empty data where absent and empty differ (<auth/> and <success/>).
func EncodeText(data []byte) string {
	if data != nil && len(data) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(data)
}
