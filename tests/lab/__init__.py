"""A laboratory of real mail servers in one folder: started, waited for, and gone afterwards.

Nothing here touches the machine's own Postfix; all traffic stays on loopback. Used by the
tests on real Postfix and by the demo.
"""
