package main

// factorRights are the rows of the table of rights for what people sign in with
// besides a password.
//
//	nobody stranger viewer operator manager admin token
func factorRights() []right {
	return []right{
		{"GET /sign-in/second", [visitors]int{303, 303, 303, 303, 303, 303, 303}, nil},
		{"POST /sign-in/second", [visitors]int{303, 303, 303, 303, 303, 303, 303}, nil},
		{"GET /settings/authenticator", [visitors]int{303, 303, 303, 303, 303, 303, 403}, nil},
		{"POST /settings/authenticator/begin", [visitors]int{303, 303, 303, 303, 303, 303, 403}, nil},
		{"POST /settings/authenticator", [visitors]int{303, 422, 422, 422, 422, 422, 403}, nil},
		{"POST /settings/authenticator/remove", [visitors]int{303, 404, 404, 404, 404, 404, 403}, nil},
		{"GET /sign-in/provider", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil}, // none is set
		{"GET /sign-in/provider/return", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},
		{"POST /settings/provider/unlink", [visitors]int{303, 404, 404, 404, 404, 404, 403}, nil},
		{"POST /sign-in/passkey/options", [visitors]int{409, 409, 409, 409, 409, 409, 409}, nil}, // the site is open at an address
		{"POST /sign-in/passkey", [visitors]int{409, 409, 409, 409, 409, 409, 409}, nil},
		{"POST /settings/passkeys/options", [visitors]int{303, 409, 409, 409, 409, 409, 403}, nil},
		{"POST /settings/passkeys/new", [visitors]int{303, 422, 422, 422, 422, 422, 403}, nil},
		{"POST /settings/passkeys", [visitors]int{303, 422, 422, 422, 422, 422, 403}, nil},
		{"POST /settings/passkeys/:id/remove", [visitors]int{303, 404, 404, 404, 404, 404, 403}, nil},
		{"POST /settings/recovery-codes", [visitors]int{303, 409, 409, 409, 409, 409, 403}, nil},
	}
}
