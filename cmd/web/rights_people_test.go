package main

// peopleRights are the rows of the table of rights for people, their roles and
// their invitations.
//
//	nobody stranger viewer operator manager admin token
func peopleRights() []right {
	onlyAdmin := func(status int) [visitors]int { return [visitors]int{303, 403, 403, 403, 403, status, 403} }
	return []right{
		{"GET /invitations/:token", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},
		{"POST /invitations/:token", [visitors]int{404, 404, 404, 404, 404, 404, 403}, nil},
		{"POST /apps/:app/collaborators", [visitors]int{303, 404, 403, 403, 422, 422, 403}, nil},
		{"POST /apps/:app/collaborators/:id/role", [visitors]int{303, 404, 403, 403, 404, 404, 403}, nil},
		{"POST /apps/:app/collaborators/:id/remove", [visitors]int{303, 404, 403, 403, 404, 404, 403}, nil},
		{"POST /apps/:app/invitations/:id/revoke", [visitors]int{303, 404, 403, 403, 404, 404, 403}, nil},
		{"GET /apps/:app/leave", [visitors]int{303, 404, 200, 200, 200, 200, 200}, nil},
		{"GET /settings/people", onlyAdmin(200), nil},
		{"POST /settings/people", onlyAdmin(422), nil},
		{"POST /settings/people/invitations/:id/revoke", onlyAdmin(404), nil},
		{"GET /settings/people/:id", onlyAdmin(404), nil},
		{"POST /settings/people/:id/email", onlyAdmin(404), nil},
		{"POST /settings/people/:id/admin", onlyAdmin(404), nil},
		{"POST /settings/people/:id/end-sessions", onlyAdmin(404), nil},
		{"POST /settings/people/:id/deactivate", onlyAdmin(404), nil},
		{"POST /settings/people/:id/reactivate", onlyAdmin(404), nil},
	}
}

// lastRights are the rows after which the visitors are not who they were: the
// token is the operator's, who has left by then.
func lastRights() []right {
	return []right{{"POST /apps/:app/leave", [visitors]int{303, 404, 303, 303, 409, 409, 404}, nil}}
}
