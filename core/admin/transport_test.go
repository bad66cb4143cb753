package admin

import "net/http"

// toServer sends every request to one address.
type toServer struct {
	addr string
	next http.RoundTripper
}

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = s.addr
	return s.next.RoundTrip(r)
}
