"""Who may look: sign-in, sessions, and the headers of every answer."""
