package supervise

import (
	"context"
	"os"
	"syscall"
	"time"
)

// Supervised is whether this process is the worker of a supervisor.
func Supervised() bool { return os.Getenv(workerVariable) != "" }

// LiveUnder makes this worker beat for its supervisor each second and ends the
// returned context when the supervisor is gone, so that no worker is left
// without one.
func LiveUnder(ctx context.Context) (context.Context, context.CancelFunc) {
	// Inherited descriptors stay open in every program that is started from
	// here; a database that held the heartbeat would hide this worker's death.
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	_ = os.Unsetenv(workerVariable)
	beat, life := os.NewFile(3, "heartbeat"), os.NewFile(4, "life")
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			if _, err := beat.Write([]byte{'.'}); err != nil {
				return
			}
			<-tick.C
		}
	}()
	go func() {
		_, _ = life.Read(make([]byte, 1)) // returns only when the other end is closed
		cancel()
		// Whatever does not end by itself ends now: a worker without a
		// supervisor would answer beside the next one.
		time.Sleep(15 * time.Second)
		os.Exit(1)
	}()
	return ctx, cancel
}
