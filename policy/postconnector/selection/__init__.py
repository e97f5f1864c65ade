"""Which connector a recipient takes, and why. No I/O.

Exchange's rules stand here and nowhere else: the compiler, the policy service, the milter and
`route` all ask RoutingTable.
"""
