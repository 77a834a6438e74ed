"""`pitstop run`: checks a config, serves it in a process of its own, and shows how it comes up, changes and ends."""
