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
		{"GET /unsubscribe/:token", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},
		{"POST /unsubscribe/:token", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},
	}
}
