package main

import "net/url"

// maintenanceRights are the rows of the table of rights for maintenances and
// the feed of them.
//
//	nobody stranger viewer operator manager admin token
func maintenanceRights() []right {
	return []right{
		{"GET /maintenances", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"GET /maintenances/:id", [visitors]int{303, 404, 303, 303, 303, 303, 200}, nil},
		{"POST /maintenances/:id/move", [visitors]int{303, 404, 403, 422, 422, 422, 422}, nil},
		{"POST /maintenances/:id/postpone", [visitors]int{303, 404, 403, 422, 422, 422, 422}, url.Values{"weeks": {"9"}}},
		{"GET /maintenances/:id/run", [visitors]int{303, 404, 403, 200, 200, 200, 200}, nil},
		{"POST /maintenances/:id/run", [visitors]int{303, 404, 403, 303, 303, 303, 202}, nil},
		{"GET /maintenances/:id/cancel", [visitors]int{303, 404, 403, 200, 200, 200, 200}, nil},
		{"POST /maintenances/:id/cancel", [visitors]int{303, 404, 403, 303, 303, 303, 202}, nil},
		{"GET /blackouts/new", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"POST /blackouts", [visitors]int{303, 422, 403, 422, 422, 422, 422}, url.Values{"app": {"sushi"}, "reason": {"autumn sale"}}},
		{"POST /blackouts/:id/remove", [visitors]int{303, 404, 404, 404, 404, 404, 404}, nil},
		{"POST /databases/:database/upgrade", [visitors]int{303, 404, 403, 422, 422, 422, 422}, nil},
		{"GET /databases/:database/switch-back", [visitors]int{303, 404, 403, 200, 200, 200, 200}, nil},
		{"POST /databases/:database/switch-back", [visitors]int{303, 404, 403, 404, 404, 404, 404}, nil},
		{"GET /databases/:database/destroy-old-server", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /databases/:database/destroy-old-server", [visitors]int{303, 404, 403, 403, 422, 422, 403}, nil},
		{"GET /databases/:database/window", [visitors]int{303, 404, 403, 200, 200, 200, 200}, nil},
		{"POST /databases/:database/window", [visitors]int{303, 404, 403, 422, 422, 422, 422}, nil},
		{"GET /maintenances/calendar", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"POST /maintenances/calendar", [visitors]int{303, 200, 200, 200, 200, 200, 201}, nil},
		{"POST /maintenances/calendar/revoke", [visitors]int{303, 303, 303, 303, 303, 303, 404}, nil}, // the operator has revoked it already
		{"GET /calendar/:token", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},
	}
}
