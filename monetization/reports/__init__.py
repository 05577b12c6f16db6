"""What usage comes to: ranges of time, sums, forecasts and advice. Reads only; nothing here is enforced or charged."""
