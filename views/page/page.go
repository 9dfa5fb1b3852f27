// Package page owns one templ for each page: its view model on top, its markup
// below. A page imports only internal/platform, views/layout and
// views/component; the web package fills the view models.
package page
