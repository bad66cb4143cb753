package slack

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// TestNoTokenElsewhere: an API that sends us to another host does not get our token there.
func TestNoTokenElsewhere(t *testing.T) {
	var reached atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer elsewhere.Close()
	api := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer api.Close()
	c := New(Options{})
	conf, err := json.Marshal(map[string]string{"bot_token": "xoxb-1", "app_token": "xapp-1", "api_url": api.URL + "/api/"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(t.Context(), sdk.Configuration{JSON: conf}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.whoAmI(t.Context()); err == nil || !sdk.AsError(err).Temporary || reached.Load() {
		t.Errorf("error %v, the other host was asked: %v", err, reached.Load())
	}
	c.api.http.CloseIdleConnections()
}
