"""From an export of Exchange to a connectors file and a report of what became of each property.

Nothing an export demands is dropped or weakened on the way: a value that can't be read is
written down as it is, so that `check` refuses the file and names its line.
"""
