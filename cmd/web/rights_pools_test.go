package main

// poolRights are the rows of the table of rights for connection pools.
//
//	nobody stranger viewer operator manager admin token
func poolRights() []right {
	return []right{
		{"GET /databases/:database/pools/:id", [visitors]int{303, 404, 200, 200, 200, 200, 200}, nil},
		{"POST /databases/:database/pools/:id/url", [visitors]int{303, 404, 403, 200, 200, 200, 200}, nil},
		{"POST /databases/:database/pools/:id/lead", [visitors]int{303, 404, 403, 403, 409, 409, 403}, nil},
		{"GET /databases/:database/pools/:id/detach", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
	}
}
