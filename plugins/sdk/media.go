package sdk

import "io"

// MediaRequest asks for a file or a range of it.
type MediaRequest struct {
	ID    MediaID
	Range Range
	Login LoginID   // through which login it was seen
	In    PortalKey // where it was seen
	// Source is the message it came with: a bridge whose links expire asks for the
	// message again.
	Source MessageRef
	// Thumbnail asks for a smaller picture of about this many pixels; 0: the file itself.
	Thumbnail int
}

// MediaContent is a file being read. Whoever gets it closes Body.
type MediaContent struct {
	Body  io.ReadCloser
	Type  string
	Name  string
	Size  int64 // of the whole file; negative if unknown
	Range Range // what Body holds; zero: the whole file, also if a range was asked for
}
