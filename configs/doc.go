// Package configs is the server's configuration file: it composes the structs that the packages own into one [Config], reads YAML strictly
// into it, and explains what is wrong by line.
//
// Every key of the file is a field with a yaml tag; the comment above the field is its documentation and docs/config.md is generated from
// it. An unknown key, a duplicate key, a value of the wrong type, a second document and a secret with two sources are errors that name the
// line and what to do; all problems are reported, not the first only.
//
// A secret is a field of type [Secret]: it can stand in the key, in a file (`KEY_file`), or in the environment (VIADUCT_ and the path in
// capitals). The `config:` of a bridge is checked against the schema that its plugin declares; see [Bridge.Resolve].
//
// What this package is not: it opens no file but the configuration and the files of secrets, starts nothing, and has no state.
//
//	c, err := configs.Load("viaduct.yaml", os.LookupEnv)
//	var p configs.Problems
//	if errors.As(err, &p) { for _, x := range p { fmt.Println(x) } }
package configs
