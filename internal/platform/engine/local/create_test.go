package local_test

import (
	"encoding/json"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"

	"changeover/internal/platform/engine"
	"changeover/internal/platform/engine/local"
	"changeover/internal/platform/platformtest"
)

// creation is what the program that gets killed is told to make.
type creation struct {
	Home        string
	Server      engine.Server
	Credentials engine.Credentials
}

// A program killed in the middle of Create leaves initdb or a server running
// in a half-made directory; the next one makes it whole.
func TestCreateAfterKill(t *testing.T) {
	if text := os.Getenv("LOCAL_TEST_CREATE"); text != "" {
		createForever(t, text)
		return
	}
	p := platformtest.New(t)
	for name, moment := range map[string]string{"in initdb": "data/base", "while it is filled": "data/postmaster.pid"} {
		t.Run(name, func(t *testing.T) {
			s := p.NewServer(t, "standard-0")
			credentials, password := platformtest.NewCredentials(t)
			text, err := json.Marshal(creation{Home: p.Home, Server: s, Credentials: credentials})
			if err != nil {
				t.Fatal(err)
			}
			program := osexec.Command(os.Args[0], "-test.run=^TestCreateAfterKill$")
			program.Env = append(os.Environ(), "LOCAL_TEST_CREATE="+string(text))
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			platformtest.Await(t, moment, func() (bool, error) {
				return exists(filepath.Join(filepath.Dir(p.DataDir(s)), moment)), nil
			})
			if err := program.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = program.Wait() // killed, as it was to be

			if got, err := p.Status(t.Context(), s); err != nil || got.Exists {
				t.Errorf("after the kill: %+v, %v", got, err)
			}
			if err := p.Create(t.Context(), platformtest.Epoch, s, credentials); err != nil {
				t.Fatal(err)
			}
			if err := p.Start(t.Context(), platformtest.Epoch, s); err != nil {
				t.Fatal(err)
			}
			made := platformtest.Server{Server: s, Credentials: credentials, URL: platformtest.URL(p.Host(), s.Port, credentials, password)}
			exec(t, made.Connect(t), "create table t (id int)")
		})
	}
}

func createForever(t *testing.T, text string) {
	var c creation
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	e, err := local.Open(local.Config{Home: c.Home, ExtraBinDirs: filepath.SplitList(os.Getenv("CHANGEOVER_POSTGRES_BIN"))})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Create(t.Context(), platformtest.Epoch, c.Server, c.Credentials); err != nil {
		t.Fatal(err)
	}
}
