package appliance

import (
	"cmp"
	"runtime/debug"
)

// commit and tag are set by the linker (`make build`) where git knows the tree; nothing else writes them. Without, what Go's own stamp says counts.
var commit, tag string

// Version describes the program as it was built.
func Version() map[string]string {
	info, _ := debug.ReadBuildInfo()
	return describe(info, commit, tag)
}

// describe joins what Go has noted at the build with what the linker was told.
func describe(info *debug.BuildInfo, commit, tag string) map[string]string {
	v := map[string]string{"version": cmp.Or(tag, "devel"), "go": "", "commit": commit}
	if info == nil {
		return v
	}
	v["go"] = info.GoVersion
	if m := info.Main.Version; tag == "" && m != "" && m != "(devel)" {
		v["version"] = m
	}
	var own string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			own = s.Value[:min(12, len(s.Value))] + own
		case "vcs.modified":
			if s.Value == "true" {
				own += "+changes"
			}
		case "vcs.time":
			v["built"] = s.Value
		}
	}
	v["commit"] = cmp.Or(commit, own)
	return v
}
