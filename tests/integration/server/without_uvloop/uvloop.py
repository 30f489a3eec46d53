"""Stands before uvloop on the path of a server that is to run on asyncio's own loop."""

raise ImportError("this run of the tests is without uvloop")
