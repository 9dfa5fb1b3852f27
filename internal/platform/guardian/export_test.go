package guardian

import "os"

// Watches makes p the watched program.
func (w *Watch) Watches(p *os.Process) { w.watched = p }
