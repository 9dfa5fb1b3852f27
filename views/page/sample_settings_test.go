package page

import (
	"time"

	"changeover/views/component"
)

func mailView() SettingsMailView {
	sent, failed := time.Now().Add(-2*time.Hour), time.Now().Add(-5*time.Minute)
	return SettingsMailView{
		Nav: SettingsNav{Active: MailPath, Admin: true}, Set: true, HasPassword: true, TestTo: "mei@example.com", Waiting: 2, UpdatedAt: sent, UpdatedBy: "mei@example.com",
		LastSentAt: &sent, LastErrorAt: &failed, LastError: "smtp.example.com does not answer on port 587. Check the name, the port, and whether a firewall is between.",
		Form: component.Form{CSRF: "t", Values: map[string]string{"host": "127.1", "port": "587", "tls": "starttls"}, Errors: map[string]string{"host": `"127.1" is not the name of a host. Give one such as mail.example.com, or an address.`}},
	}
}
