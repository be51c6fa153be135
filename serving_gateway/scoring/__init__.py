"""From a parsed request to an answer: preparing rows, scoring them by their arms, shadowing, the record."""
