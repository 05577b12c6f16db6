"""What a caller pays for a call: the four charging policies as pure functions over usage, prices and rules. No balances here."""
