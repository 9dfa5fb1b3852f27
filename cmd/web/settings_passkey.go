package main

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// passkeyNew serves POST /settings/passkeys/new: the page on which the browser
// makes a passkey of the name that was typed.
func (a *app) passkeyNew(c echo.Context) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	name, err := passkeyName(c)
	if err == nil && a.passkeySiteOf(c).whyNot != "" {
		err = platform.Conflict("%s", a.passkeySiteOf(c).whyNot)
	}
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSettings(c, settingsForms{passkey: form}) })
	}
	return a.showPasskeyNew(c, formOf(c), name)
}

func passkeyName(c echo.Context) (string, error) {
	name := strings.Join(strings.Fields(c.FormValue("passkey_name")), " ")
	switch {
	case name == "":
		return "", platform.Invalid("passkey_name", "Give the passkey a name that says where it is: laptop, phone, key on the ring.")
	case utf8.RuneCountInString(name) > mostName:
		return "", platform.Invalid("passkey_name", "The name is longer than %d characters. Make it shorter.", mostName)
	}
	return name, nil
}

// showPasskeyNew gives the browser a challenge along with the page.
func (a *app) showPasskeyNew(c echo.Context, form component.Form, name string) error {
	ctx, site := c.Request().Context(), a.passkeySiteOf(c)
	user, err := db.UserByID(ctx, a.pool, visitorOf(c).UserID)
	if err != nil {
		return err
	}
	party, err := site.party()
	if err != nil {
		return err
	}
	person, err := a.personAt(ctx, user, site)
	if err != nil {
		return err
	}
	known := make([]protocol.CredentialDescriptor, 0, len(person.passkeys))
	for i := range person.passkeys {
		known = append(known, person.passkeys[i].Descriptor())
	}
	options, session, err := party.BeginRegistration(person, webauthn.WithExclusions(known))
	if err != nil {
		return err
	}
	if err := a.challenge(c, forRegistering, &user.ID, session); err != nil {
		return err
	}
	text, err := json.Marshal(options)
	if err != nil {
		return err
	}
	f, err := a.settingsFrame(c, "New passkey")
	if err != nil {
		return err
	}
	return a.render(c, statusOr(c), page.SettingsPasskey(f, page.SettingsPasskeyView{Form: form, Name: name, Site: site.name, Options: string(text), Script: a.asset("passkey.js")}))
}

// passkeyCreate serves POST /settings/passkeys.
func (a *app) passkeyCreate(c echo.Context) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	name, err := passkeyName(c)
	if err == nil {
		noteSubject(c, shortened(name))
		err = a.addPasskey(c, name)
	}
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error {
			if name == "" || a.passkeySiteOf(c).whyNot != "" {
				return a.showSettings(c, settingsForms{passkey: form})
			}
			return a.showPasskeyNew(c, form, name)
		})
	}
	return a.firstFactor(c, "A passkey was added", "The passkey "+name+" is added. It signs you in by itself, and is asked for after your password.")
}

func (a *app) addPasskey(c echo.Context, name string) error {
	ctx := c.Request().Context()
	if err := a.takeAttempt(c, ""); err != nil {
		return err
	}
	user, err := db.UserByID(ctx, a.pool, visitorOf(c).UserID)
	if err != nil {
		return err
	}
	credential, err := a.madePasskey(c, user, c.FormValue("credential"))
	if err != nil {
		return err
	}
	record, err := json.Marshal(credential)
	if err != nil {
		return err
	}
	return db.AddPasskey(ctx, a.pool, db.NewPasskey{UserID: user.ID, Name: name, Site: a.passkeySiteOf(c).name, CredentialID: credential.ID, Credential: record})
}

// passkeyRemove serves POST /settings/passkeys/:id/remove.
func (a *app) passkeyRemove(c echo.Context) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	ctx, v := c.Request().Context(), visitorOf(c)
	var name string
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		err := a.keepWayIn(ctx, tx, c, func() (err error) {
			name, err = db.RemovePasskey(ctx, tx, v.UserID, id)
			return err
		})
		noteSubject(c, name)
		if err != nil {
			return err
		}
		return a.dropRecovery(ctx, tx, v.UserID)
	})
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSettings(c, settingsForms{factor: form}) })
	}
	done := "The passkey " + name + " is removed."
	if err := a.factorChanged(c, "A passkey was removed", done); err != nil {
		return err
	}
	a.flashOK(c, done+" Every other browser is signed out.")
	return seeOther(c, page.FactorPath)
}

// factorView is the part of the settings about what somebody has besides a password.
func (a *app) factorView(c echo.Context, factors db.Factors, forms settingsForms) (page.FactorView, error) {
	site := a.passkeySiteOf(c)
	view := page.FactorView{Required: visitorOf(c).NeedsFactor, AuthenticatorSince: factors.AuthenticatorSince, On: factors.Any(), RecoveryLeft: factors.RecoveryCodes, PasskeyForm: withToken(c, forms.passkey), Form: withToken(c, forms.factor), PasskeyWhyNot: site.whyNot}
	if a.identities != nil {
		since, err := db.IdentitySince(c.Request().Context(), a.pool, visitorOf(c).UserID, a.identities.Issuer)
		if err != nil {
			return view, err
		}
		view.Provider, view.ProviderSince = a.identities.Host, since
	}
	list, err := db.ListPasskeys(c.Request().Context(), a.pool, visitorOf(c).UserID)
	for _, k := range list {
		view.Passkeys = append(view.Passkeys, page.PasskeyRow{ID: k.ID, Name: k.Name, Site: k.Site, Here: k.Site == site.name && site.whyNot == "", CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt})
	}
	return view, err
}
