package auth

import "context"

// Attempt is whom an exchange of SASL is about: the user name that it looked up last, whether it exists or not.
type Attempt struct{ Username string }

type attemptKey struct{}

// WithAttempt returns a context under which look-ups of credentials are noted in a: who guesses passwords is slowed down by account, too.
func WithAttempt(ctx context.Context, a *Attempt) context.Context {
	return context.WithValue(ctx, attemptKey{}, a)
}
