"""What is found out before the first step: every stage walked through, its keys looked up, its words checked."""
