"""What users and operators are told without asking: what it says, when it is said, and what was read. Nothing is sent here."""
