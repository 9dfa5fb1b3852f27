package main

import (
	"strings"
	"testing"
)

func TestReadConfig(t *testing.T) {
	read := func(env map[string]string, root bool) (config, error) {
		return readConfig(func(k string) string { return env[k] }, root)
	}
	t.Run("defaults", func(t *testing.T) {
		c, err := read(nil, true)
		if err != nil {
			t.Fatal(err)
		}
		if c.Home != "/var/lib/changeover" || c.HomeNamed || c.Addr != "127.0.0.1:8090" || c.URL.String() != "http://127.0.0.1:8090" ||
			c.DatabaseHost != "127.0.0.1" || c.FirstPort != 20000 || c.LastPort != 29999 || c.HTTPS() {
			t.Errorf("got %+v", c)
		}
		if c, _ := read(nil, false); !strings.HasSuffix(c.Home, "/var") {
			t.Errorf("home of an ordinary user: %s", c.Home)
		}
	})
	t.Run("all", func(t *testing.T) {
		c, err := read(map[string]string{
			"CHANGEOVER_HOME": "/srv/co", "CHANGEOVER_ADDR": ":9000", "CHANGEOVER_URL": "https://db.example.com/",
			"CHANGEOVER_TRUSTED_PROXIES": "10.0.0.7, 10.1.0.0/16", "CHANGEOVER_DATABASE_PORTS": "30000-30100",
			"CHANGEOVER_ZONES": "b=/disk2,c=/disk3", "CHANGEOVER_MEMORY_SCALE": "0.5",
		}, false)
		if err != nil {
			t.Fatal(err)
		}
		if !c.HomeNamed || c.Link("/x") != "https://db.example.com/x" || !c.HTTPS() || len(c.TrustedProxies) != 2 || len(c.Zones) != 2 || c.MemoryScale != 0.5 {
			t.Errorf("got %+v", c)
		}
	})
	for setting, value := range map[string]string{
		"CHANGEOVER_ADDR":            "8090",
		"CHANGEOVER_URL":             "https://db.example.com/sub",
		"CHANGEOVER_TRUSTED_PROXIES": "nonsense",
		"CHANGEOVER_KEY_FILE":        "key",
		"CHANGEOVER_DATABASE_HOST":   "a b",
		"CHANGEOVER_DATABASE_PORTS":  "29999-20000",
		"CHANGEOVER_ZONES":           "b=disk2",
		"CHANGEOVER_MEMORY_SCALE":    "2",
		"DATABASE_URL":               "mysql://u:hunter2@h/d",
		"CHANGEOVER_POSTGRES_BIN":    "/nonexistent",
		"CHANGEOVER_PGBOUNCER":       "/nonexistent",
		"CHANGEOVER_DEVELOPMENT":     "maybe",
		"CHANGEOVER_SECOND_FACTOR":   "yes",
		"CHANGEOVER_HOME":            "/proc/self/status",
	} {
		t.Run(setting, func(t *testing.T) {
			_, err := read(map[string]string{setting: value}, false)
			if err == nil || !strings.HasPrefix(err.Error(), setting+": ") || !strings.HasSuffix(err.Error(), ".") {
				t.Fatalf("want a sentence about %s, got %v", setting, err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the sentence gives a password away: %v", err)
			}
		})
	}
}
