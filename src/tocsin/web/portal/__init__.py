"""The portal: pages for people, made on the server, read-only. `pages.portal_routes` is all that others need."""
