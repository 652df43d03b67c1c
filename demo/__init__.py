"""What ``make demo`` serves: the page of one model, and the door in front of it."""
