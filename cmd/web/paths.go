package main

import (
	"net/url"
	"strconv"
)

func databasePath(name string) string { return "/databases/" + url.PathEscape(name) }

func appPath(name string) string { return "/apps/" + url.PathEscape(name) }

func operationPath(id int64) string { return "/operations/" + strconv.FormatInt(id, 10) }
