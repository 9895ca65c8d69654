"""What can be searched: the words of a text, and what is said in details."""
