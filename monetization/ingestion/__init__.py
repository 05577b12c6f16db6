"""Usage that did not pass through us: events parsed, rated by the code that charges calls, and booked once. No HTTP here."""
