package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	fakeBucket = "files"
	fakeID     = "AKIAMADEUP"
	fakeSecret = "made-up-for-this-test" //nolint:gosec // of a store that lives for one test
	fakeRegion = "eu-test-1"
)

// fake is as much of S3 as the store uses, over real HTTP: what its documentation says of PutObject, GetObject, HeadObject, DeleteObject,
// ListObjectsV2 and Signature Version 4. A request that is not signed right is refused.
type fake struct {
	t   *testing.T
	srv *httptest.Server

	mu      sync.Mutex
	objects map[string][]byte
	seen    []string // "METHOD key"
	ranges  []string
	// fault is asked for every request that is signed right; true: it has dealt with it.
	fault func(w http.ResponseWriter, r *http.Request) bool
	page  int // objects of one listing
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, objects: map[string][]byte{}, page: 7}
	f.srv = httptest.NewServer(f)
	t.Cleanup(f.srv.Close)
	return f
}

func (f *fake) set(fault func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.seen, f.ranges = fault, nil, nil
}

func (f *fake) count(what string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.seen {
		if strings.HasPrefix(s, what) {
			n++
		}
	}
	return n
}

// asked returns the ranges of the requests since set.
func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ranges)
}

func s3error(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>made up</Message></Error>`, code)
}

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := checkSignature(r); why != "" {
		s3error(w, http.StatusForbidden, why)
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f.mu.Lock()
	f.seen = append(f.seen, r.Method+" "+key)
	f.ranges = append(f.ranges, r.Header.Get("Range"))
	fault := f.fault
	f.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	switch {
	case bucket != fakeBucket:
		s3error(w, http.StatusNotFound, "NoSuchBucket")
	case key == "" && r.Method == http.MethodGet:
		f.list(w, r.URL.Query())
	case key == "":
		w.WriteHeader(http.StatusOK) // HeadBucket
	default:
		f.object(w, r, key)
	}
}

func (f *fake) object(w http.ResponseWriter, r *http.Request, key string) {
	if r.Method == http.MethodPut {
		f.put(w, r, key)
		return
	}
	f.mu.Lock()
	body, ok := f.objects[key]
	if r.Method == http.MethodDelete {
		delete(f.objects, key)
	}
	f.mu.Unlock()
	switch {
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case !ok:
		s3error(w, http.StatusNotFound, "NoSuchKey")
	default:
		w.Header().Set("ETag", `"`+hash(body)[:32]+`"`)
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), strings.NewReader(string(body)))
	}
}

func (f *fake) put(w http.ResponseWriter, r *http.Request, key string) {
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil || int64(len(body)) != r.ContentLength:
		s3error(w, http.StatusBadRequest, "IncompleteBody")
	case r.Header.Get("X-Amz-Content-Sha256") != hash(body):
		s3error(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
	default:
		f.mu.Lock()
		f.objects[key] = body
		f.mu.Unlock()
		w.Header().Set("ETag", `"`+hash(body)[:32]+`"`)
	}
}

func (f *fake) list(w http.ResponseWriter, q url.Values) {
	type contents struct {
		Key          string
		LastModified string
		ETag         string
		Size         int
	}
	var out struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name                  string
		Prefix                string
		KeyCount              int
		MaxKeys               int
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []contents
	}
	after := q.Get("start-after")
	if t := q.Get("continuation-token"); t != "" {
		after = strings.TrimPrefix(t, "token-")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for k := range f.objects {
		if strings.HasPrefix(k, q.Get("prefix")) && k > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if len(keys) > f.page {
		keys = keys[:f.page]
		out.IsTruncated, out.NextContinuationToken = true, "token-"+keys[f.page-1]
	}
	out.Name, out.Prefix, out.KeyCount, out.MaxKeys = fakeBucket, q.Get("prefix"), len(keys), f.page
	for _, k := range keys {
		out.Contents = append(out.Contents, contents{k, "2026-11-20T10:00:00.000Z", `"x"`, len(f.objects[k])})
	}
	w.Header().Set("Content-Type", "application/xml")
	if err := xml.NewEncoder(w).Encode(out); err != nil {
		f.t.Error(err)
	}
}

func hash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func sum(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// checkSignature computes the signature of a request as "Authenticating Requests (AWS Signature Version 4)" describes it, and returns the
// code of the error if it is not the one of the header.
func checkSignature(r *http.Request) string {
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "AccessDenied"
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(auth, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[k] = v
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[0] != fakeID || scope[2] != fakeRegion || scope[3] != "s3" || scope[4] != "aws4_request" {
		return "InvalidAccessKeyId"
	}
	var headers strings.Builder
	signed := strings.Split(fields["SignedHeaders"], ";")
	if !slices.Contains(signed, "host") || !slices.Contains(signed, "x-amz-content-sha256") || !slices.Contains(signed, "x-amz-date") {
		return "AccessDenied"
	}
	for _, h := range signed {
		v := strings.Join(r.Header.Values(h), ",")
		switch h {
		case "host":
			v = r.Host
		case "content-length":
			v = strconv.FormatInt(r.ContentLength, 10)
		}
		headers.WriteString(h + ":" + strings.TrimSpace(v) + "\n")
	}
	canonical := strings.Join([]string{r.Method, r.URL.EscapedPath(), strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20"),
		headers.String(), fields["SignedHeaders"], r.Header.Get("X-Amz-Content-Sha256")}, "\n")
	date := r.Header.Get("X-Amz-Date")
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", date, strings.Join(scope[1:], "/"), hash([]byte(canonical))}, "\n")
	key := []byte("AWS4" + fakeSecret)
	for _, s := range scope[1:] {
		key = sum(key, s)
	}
	if hex.EncodeToString(sum(key, toSign)) != fields["Signature"] || !strings.HasPrefix(date, scope[1]) {
		return "SignatureDoesNotMatch"
	}
	return ""
}
