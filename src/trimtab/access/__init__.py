"""Who may do what: nothing of it is built yet; the HTTP side only reads, on loopback."""
