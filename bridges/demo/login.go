package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// loginTime is how long a form may lie about.
const loginTime = 10 * time.Minute

// StartLogin implements sdk.LoginFlow: one form. A real network would show a
// link (sdk.StepOpenURL) or a code (sdk.StepShowCode); passwords are never asked for.
func (c *Connector) StartLogin(_ context.Context, r sdk.StartLoginRequest) (sdk.LoginStep, error) {
	if r.Flow != "form" && r.Flow != "" {
		return sdk.LoginStep{}, sdk.Refuse(sdk.CodeInvalid, "there is no way %q to sign in", r.Flow)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.processes) >= 100 { // nobody finished them
		clear(c.processes)
	}
	c.nextLogin++
	process := fmt.Sprintf("%s/%d", r.For.Person, c.nextLogin)
	c.processes[process] = true
	return c.form(process, "Choose a name. The word is "+demonet.Word+"."), nil
}

func (c *Connector) form(process, text string) sdk.LoginStep {
	return sdk.LoginStep{
		Process: process, Kind: sdk.StepForm, Text: text, Expires: c.opt.Clock.Now().Add(loginTime),
		Fields: []sdk.LoginField{
			{Name: "name", Label: "Name on the demo network", Required: true},
			{Name: "word", Label: "The word", Secret: true, Required: true},
		},
	}
}

// LoginStep implements sdk.LoginFlow. A wrong answer shows the form again.
func (c *Connector) LoginStep(ctx context.Context, r sdk.LoginInput) (sdk.LoginStep, error) {
	c.mu.Lock()
	known := c.processes[r.Process]
	c.mu.Unlock()
	if !known {
		return sdk.LoginStep{}, sdk.Refuse(sdk.CodeExpired, "this took too long; begin again")
	}
	res, err := c.api.Call(ctx, demonet.Request{Do: "login", Text: r.Values["name"], Status: r.Values["word"]})
	if err != nil {
		if e := sdk.AsError(fail(err)); !e.Temporary {
			return c.form(r.Process, "That did not work: "+e.Text+"."), nil
		}
		return sdk.LoginStep{}, fail(err)
	}
	id := sdk.LoginID(res.User.ID)
	c.mu.Lock()
	delete(c.processes, r.Process)
	c.tokens[id] = res.Token
	c.mu.Unlock()
	return sdk.LoginStep{
		Process: r.Process, Kind: sdk.StepDone, Text: "You are " + res.User.Name + " now.",
		Login: &sdk.Login{ID: id, User: sdk.RemoteUserID(id), Name: res.User.Name, Credentials: []byte(res.Token)},
	}, nil
}

// CancelLogin implements sdk.LoginFlow.
func (c *Connector) CancelLogin(_ context.Context, process string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.processes, process)
	return nil
}

// LoadLogin implements sdk.LoginFlow: after a start the server gives every login back.
func (c *Connector) LoadLogin(ctx context.Context, l sdk.Login) (sdk.LoginStatus, error) {
	status := sdk.LoginStatus{ID: l.ID, State: sdk.LoginConnected, Since: c.opt.Clock.Now()}
	_, err := c.api.Call(ctx, demonet.Request{Do: "check", Token: string(l.Credentials)})
	if err != nil {
		e := sdk.AsError(fail(err))
		status.State, status.Code, status.Text = sdk.LoginBadSecret, e.Code, "sign in again"
		if e.Temporary {
			status.State, status.Text = sdk.LoginTrouble, "the demo network cannot be reached"
		}
		if !e.Temporary {
			return status, nil
		}
	}
	c.mu.Lock()
	c.tokens[l.ID] = string(l.Credentials)
	c.mu.Unlock()
	return status, nil
}

// Logout implements sdk.LoginFlow. Who is not signed in is signed out.
func (c *Connector) Logout(ctx context.Context, id sdk.LoginID) error {
	c.mu.Lock()
	token, ok := c.tokens[id]
	delete(c.tokens, id)
	c.mu.Unlock()
	if !ok {
		return nil
	}
	_, err := c.api.Call(ctx, demonet.Request{Do: "logout", Token: token})
	return fail(err)
}
