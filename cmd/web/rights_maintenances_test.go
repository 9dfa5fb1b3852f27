package main

// maintenanceRights are the rows of the table of rights for maintenances and
// the feed of them.
//
//	nobody stranger viewer operator manager admin token
func maintenanceRights() []right {
	return []right{
		{"GET /maintenances", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"GET /maintenances/calendar", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"POST /maintenances/calendar", [visitors]int{303, 200, 200, 200, 200, 200, 201}, nil},
		{"POST /maintenances/calendar/revoke", [visitors]int{303, 303, 303, 303, 303, 303, 404}, nil}, // the operator has revoked it already
		{"GET /calendar/:token", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},
	}
}
