"""What the end-to-end tests drive: real processes, raw sockets, and an engine that misbehaves on
command.
"""
