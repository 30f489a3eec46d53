"""The real parts that tests run against, each started here and nowhere else.

`python -m tests.parts start` starts what is missing and prints what to export; the modules
are for fixtures: `engine` (a Docker engine), `registry` (a registry with basic auth),
`base_image` (a stand-in for the public Python images).
"""
