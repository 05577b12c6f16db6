"""Who is calling: credentials are believed or refused here, and nowhere else. What a caller may do is decided further down."""
