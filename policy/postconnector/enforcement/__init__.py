"""Size and certificate rules over an envelope. No I/O."""
