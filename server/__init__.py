"""The doors, and the one place where everything is joined. A door translates; it does not decide."""
