package main

// settingsRights are the rows of the table of rights for the pages below
// Settings.
//
//	nobody stranger viewer operator manager admin token
func settingsRights() []right {
	return []right{
		{"GET /sign-in/forgotten", [visitors]int{200, 200, 200, 200, 200, 200, 200}, nil},
		{"POST /sign-in/forgotten", [visitors]int{422, 422, 422, 422, 422, 422, 422}, nil},
		{"POST /settings/name", [visitors]int{303, 303, 303, 303, 303, 303, 204}, nil},
		{"POST /settings/email", [visitors]int{303, 403, 403, 403, 403, 422, 403}, nil},
		{"GET /settings/reset-link", [visitors]int{303, 403, 403, 403, 403, 200, 403}, nil},
		{"POST /settings/reset-link", [visitors]int{303, 403, 403, 403, 403, 422, 403}, nil},
		{"GET /settings/mail", [visitors]int{303, 403, 403, 403, 403, 200, 403}, nil},
		{"POST /settings/mail", [visitors]int{303, 403, 403, 403, 403, 422, 403}, nil},
		{"POST /settings/mail/test", [visitors]int{303, 403, 403, 403, 403, 404, 403}, nil},
		{"POST /settings/mail/remove", [visitors]int{303, 403, 403, 403, 403, 404, 403}, nil},
	}
}
