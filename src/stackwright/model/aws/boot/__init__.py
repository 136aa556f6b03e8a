"""What a server of AWS does by itself when it boots; user data carries these files.

Python 3.11's standard library alone: nothing is installed yet. On a host they are the package `boot` in
`/usr/local/lib/stackwright`, so that they import each other by relative names only.
"""
