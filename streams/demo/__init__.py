"""The demo: a packaged log of published cases, through a real worker and through a replay."""
