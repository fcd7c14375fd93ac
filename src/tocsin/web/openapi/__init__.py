"""The description of all routes: OpenAPI 3.1 at `/openapi.json`, and a page of it at `/docs` that needs nothing else.

`operations.py` is the table of routes, `shapes.py` names the bodies, `document.py` joins both with the types' schemas,
`page.py` makes the page and serves both.
"""
