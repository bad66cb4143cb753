//go:build unix

package host

import (
	"io/fs"
	"os/exec"
	"syscall"
)

func ownerOf(info fs.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// ownGroup puts a process into a group of its own: a Ctrl-C at the server's
// terminal is the server's to handle, and the plugin's own children end with it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup ends a process and its children.
func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }
