package main

// noticeRights are the rows of the table of rights for notices and how they
// leave the feed.
//
//	nobody stranger viewer operator manager admin token
func noticeRights() []right {
	return []right{
		{"GET /notices", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"GET /notices/:id", [visitors]int{303, 404, 200, 200, 200, 200, 200}, nil},
		{"POST /notices/read", [visitors]int{303, 303, 303, 303, 303, 303, 204}, nil},
		{"POST /notices/:id/read", [visitors]int{303, 404, 303, 303, 303, 303, 204}, nil},
		{"POST /notices/:id/unread", [visitors]int{303, 404, 303, 303, 303, 303, 204}, nil},
		{"GET /settings/notices", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"POST /settings/notices", [visitors]int{303, 303, 303, 303, 303, 303, 204}, nil},
		{"GET /settings/webhooks", [visitors]int{303, 403, 403, 403, 403, 200, 403}, nil},
		{"POST /settings/webhooks", [visitors]int{303, 403, 403, 403, 403, 422, 403}, nil},
		{"GET /apps/:app/webhooks", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /apps/:app/webhooks", [visitors]int{303, 404, 403, 403, 422, 422, 403}, nil},
		{"GET /webhooks/:id", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /webhooks/:id/test", [visitors]int{303, 404, 403, 403, 303, 303, 403}, nil},
		{"POST /webhooks/:id/on", [visitors]int{303, 404, 403, 403, 303, 303, 403}, nil},
		{"POST /webhooks/:id/secret", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /webhooks/:id/deliveries/:delivery/again", [visitors]int{303, 404, 403, 403, 404, 404, 403}, nil},
		{"POST /webhooks/:id/remove", [visitors]int{303, 404, 403, 403, 303, 404, 404}, nil},
		{"GET /unsubscribe/:token", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},
		{"POST /unsubscribe/:token", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},
	}
}
