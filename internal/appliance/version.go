package appliance

import "runtime/debug"

// Version describes the program as it was built.
func Version() map[string]string {
	v := map[string]string{"version": "devel", "go": "", "commit": ""}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v["go"] = info.GoVersion
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v["version"] = m
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v["commit"] = s.Value[:min(12, len(s.Value))]
		case "vcs.time":
			v["built"] = s.Value
		}
	}
	return v
}
