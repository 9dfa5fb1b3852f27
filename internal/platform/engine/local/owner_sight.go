package local

import (
	"context"
	"errors"

	"changeover/internal/platform"
)

// canSee proves that we see where the owner's processes work. Everything that
// says "no process of it is left" rests on that, and root in a container
// without the capability SYS_PTRACE does not see it.
func (e *Engine) canSee(ctx context.Context) (err error) {
	if e.owner == nil {
		return nil
	}
	cmd := e.command(ctx, "/bin/sh", "-c", "read line")
	cmd.Dir = e.config.Home
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return platform.Unavailable(err, "No program can be started as the user %s. Run Changeover as an ordinary user.", e.owner.name)
	}
	defer func() {
		_ = cmd.Wait() // it ends with its input; its exit code says nothing
	}()
	seen := worksIn(cmd.Process.Pid, e.config.Home)
	if err := stdin.Close(); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	if !seen {
		return platform.Unavailable(nil, "The program runs as root but may not look at processes of the user %s, so it could not prove that a server is gone. Run it as an ordinary user, or give the container the capability SYS_PTRACE.", e.owner.name)
	}
	return nil
}
